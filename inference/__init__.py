"""Use an exported model: load it safely, predict in batches."""

if __name__ == "inference":  # imported from the root of a checkout, not as tarn.inference
    from tarn.names import stand_for

    stand_for(__name__)
