"""Single samples of a packed dataset: found by index and header, shown, taken out."""
