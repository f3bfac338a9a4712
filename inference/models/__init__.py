"""Model files of every format, loaded without trust, each as a Scorer."""
