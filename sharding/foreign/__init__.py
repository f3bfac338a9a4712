"""Tars that somebody else packed: where each picture lies in them and what its label is, found without repacking."""
