"""Heads gallery: all heads of a layer at once, each to be switched off, and what the model says then."""

from vit_tutorial.explore.heads_gallery.numbers import HeadsGalleryState, heads_gallery_state
from vit_tutorial.explore.heads_gallery.widget import HeadsGallery

__all__ = ["HeadsGallery", "HeadsGalleryState", "heads_gallery_state"]
