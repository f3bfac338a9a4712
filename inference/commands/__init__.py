"""The commands of `python -m tarn.inference`, a file each."""
