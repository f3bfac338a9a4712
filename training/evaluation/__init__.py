"""Exact scores of a model, and their reports."""
