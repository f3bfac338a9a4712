"""From a picture's bytes and a box to rows of a batch; knows no shard, no order, no rank."""
