"""A dataset against its manifest: fast by sizes, deep by every byte, and its labels against the source."""
