"""A packed dataset seen sample by sample: headers, names and pictures by small ranges of its tars."""
