"""Single values as people write them on a command line."""

from typing import Any

import yaml


def parse_value(text: str) -> Any:
    """As YAML reads it; what is no YAML is a text, and nothing is null."""
    try:
        return yaml.safe_load(text) if text else None
    except yaml.YAMLError:
        return text


def as_told(value: object) -> str:
    """As a person would write it there: null, true, [6, 30]."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(as_told, value))}]"
    return str(value)
