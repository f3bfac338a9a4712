"""What a run will ask of network, disks, cores and GPUs, and its schedule."""
