"""What only a GPU can prove: stages, each a process with a time of its own, and verdicts, each a line with its bar."""
