"""Files of PyTorch and others, read as plain data: nothing that lies in them is run."""
