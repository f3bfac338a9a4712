"""Use an exported model: load it safely, predict in batches."""

if __name__ == "inference":  # imported from the root of a checkout, not as tarn.inference
    from tarn.names import stand_for

    stand_for(__name__)
else:
    from tarn.inference.limits import Limits
    from tarn.inference.prediction import Guess, Prediction
    from tarn.inference.predictor import Predictor
    from tarn.inference.urls import Reach

    __all__ = ["Guess", "Limits", "Prediction", "Predictor", "Reach"]
