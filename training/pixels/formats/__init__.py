"""Pictures other than baseline JPEGs, a file for each way that decodes less, or faster, than Pillow does."""
