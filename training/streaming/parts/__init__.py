"""Parts as people write them, opened: which samples, with which labels, in which shares."""
