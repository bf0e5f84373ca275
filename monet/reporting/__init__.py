"""Pictures for people: grids of images, curves and the report."""
