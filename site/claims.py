"""The page of all claims; a placeholder."""

from pathlib import Path


def claims_page(notebooks_folder: Path) -> str:
    """Return the page as MyST Markdown."""
    return "# What people say about ViT, tested\n"
