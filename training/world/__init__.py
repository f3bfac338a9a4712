"""Ranks: as numbers, as a process group, and how they meet."""
