"""Single values as people write them on a command line."""

from typing import Any

import yaml


def parse_value(text: str) -> Any:
    """As YAML reads it; what is no YAML is a text, and nothing is null."""
    try:
        return yaml.safe_load(text) if text else None
    except yaml.YAMLError:
        return text
