"""Pack image-classification datasets into WebDataset tar shards. Needs no torch."""

if __name__ == "sharding":  # imported from the root of a checkout, not as tarn.sharding
    from tarn.names import stand_for

    stand_for(__name__)
