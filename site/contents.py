"""What the pages say of the lessons; a placeholder."""

from pathlib import Path


def fill(text: str, notebooks: Path) -> str:
    """Put what the notebooks say in place of the marks of a page."""
    return text
