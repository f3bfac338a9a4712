"""The exported model: what it holds, and how it is published."""
