"""Batches made ahead of time by processes."""
