"""Where things lie: the checkout, and real photographs beside it where there are any."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
REAL_PICTURES = ROOT.parent / "shared" / "imagenet-sample"
