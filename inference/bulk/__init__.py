"""Very many pictures into one file: decoded by processes beside the network, written in parts, gone on with."""
