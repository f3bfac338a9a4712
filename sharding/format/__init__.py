"""What lies on disk: manifest, indexes, the pieces of a tar."""
