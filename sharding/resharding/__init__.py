"""Shards as a source of pictures: WebDataset tars of others, and datasets that were packed or indexed here."""
