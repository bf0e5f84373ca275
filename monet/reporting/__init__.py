"""What a person looks at: grids of images and curves."""
