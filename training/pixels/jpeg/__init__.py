"""Any box of a tiled JPEG decoded, and no more than the box."""
