"""A model as an HTTP service: what comes from many at once is scored together."""
