"""Use an exported model: load it safely, predict in batches."""
