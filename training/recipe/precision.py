"""What mixed precision is called in settings; amp.py, which needs torch, makes types of the names."""

CHOICES = ("auto", "off", "bf16", "fp16")
