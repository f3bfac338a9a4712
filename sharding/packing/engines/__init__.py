"""Who makes the shards of a plan: this host's processes, or the nodes of a Ray cluster. The bytes are the same."""
