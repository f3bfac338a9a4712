"""Zips and tars read where they lie, on a disk or in a store: what they hold, and each member by one read."""
