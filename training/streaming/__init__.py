"""Samples of tar shards as batches: pure order, exact resume."""
