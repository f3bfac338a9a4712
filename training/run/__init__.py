"""A training run: the trainer, its checkpoints, its journal, its end."""
