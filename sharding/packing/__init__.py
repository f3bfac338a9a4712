"""From a source of pictures to published shards."""
