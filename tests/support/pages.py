"""Pages of the documentation, for the tests that run what they say."""

import re


def blocks(text: str) -> list[str]:
    """Indented by four spaces, and not part of a list."""
    found = re.findall(r"(?:^(?:    .*)?\n)+", text, re.MULTILINE)
    return [re.sub(r"^    ", "", block, flags=re.MULTILINE).strip("\n") for block in found if block.strip()]
