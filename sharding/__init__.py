"""Pack image-classification datasets into WebDataset tar shards. Needs no torch."""
