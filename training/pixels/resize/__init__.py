"""Boxes of pixels to the sides asked for, on the CPU and on a GPU."""
