"""A drawn dataset, for trying things out without a download."""
