"""Weights in and out: our models as one safe file, and the weights of the libraries into our models.

A `.safetensors` file holds numbers and text only, so loading one runs no code. Everything needed to use the model again
(its config, class names, input mean and std, and the record of its training) travels in the file's metadata.

`ours.py` writes and reads our files; `loading.py` puts any weights into a model; `files.py` opens files of all kinds;
each layout of another library has a file of its own, and `names.py` tells them apart.
"""

from vit_tutorial.weights.card import ModelCard
from vit_tutorial.weights.loading import load_weights
from vit_tutorial.weights.ours import load_model, save_model

__all__ = ["ModelCard", "load_model", "load_weights", "save_model"]
