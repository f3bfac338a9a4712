"""Streams that can only be read from their beginning."""
