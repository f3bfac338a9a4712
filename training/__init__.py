"""Stream tar shards, train, checkpoint, evaluate and export."""

if __name__ == "training":  # imported from the root of a checkout, not as tarn.training
    from tarn.names import stand_for

    stand_for(__name__)
