"""Shards of object stores: cache, fetcher, ranges, the first batch."""
