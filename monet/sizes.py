"""Sizes of images, and formats that are none."""

SIDE = 256
"""Width and height of an image that the competition takes; photos are painted at this size."""
MAX_PIXELS = 80_000_000
"""Images with more pixels than this are refused before they are decoded (an 80-megapixel photo takes 240 MB)."""
PROGRAMS = ("EPS",)
"""Formats that hold programs instead of pixels; Pillow has Ghostscript run them."""
