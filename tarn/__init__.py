"""Tarn under one name of its own: the folders beside this one, so that no script's `training.py` is in their way."""
