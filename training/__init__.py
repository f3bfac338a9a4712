"""Stream tar shards, train, checkpoint, evaluate and export."""
