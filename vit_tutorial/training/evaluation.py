"""Looking at the result: what a model says of pictures, and how often it is right."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from vit_tutorial.inputs import whole_number
from vit_tutorial.introspection import in_eval_mode
from vit_tutorial.support.checks import check_images, check_labels
from vit_tutorial.support.usual import usual_torch
from vit_tutorial.training.devices import autocast


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How well a model does on N images of K classes, in all and image by image."""

    accuracy: float  # 0..1
    loss: float  # mean cross-entropy
    losses: Float[Tensor, " N"]  # cross-entropy of each image
    labels: Int64[Tensor, " N"]
    predictions: Int64[Tensor, " N"]  # the class the model thinks most likely
    confidences: Float[Tensor, " N"]  # the probability it gives to that class, 0..1
    confusion: Int64[Tensor, "K K"]  # how many images of class (row) were taken for class (column)

    def worst_mistakes(self, count: int = 10) -> Int64[Tensor, " count"]:
        """Give the places of the wrongly classified images with the largest losses, the worst first."""
        order = self.losses.argsort(descending=True)
        return order[(self.predictions != self.labels)[order]][:count]


@usual_torch()
@torch.no_grad()
def predict(
    model: nn.Module,
    images: UInt8[Tensor, "N C H W"],
    *,
    batch_size: int = 500,
    precision: str = "float32",
    mirrored: bool = False,
) -> Float[Tensor, "N K"]:
    """Compute the logits of uint8 images, a batch at a time, normalised as `model.card` says, in eval mode.

    With `mirrored` the model is asked twice, once about the mirror image (left and right changed), and the logits are
    averaged: the smallest test-time augmentation. Shapes: [N, C, H, W] -> [N, K], float32 on the CPU.
    Raises ValueError if the model has no card, the images are not uint8, or a batch is to have none.
    """
    if getattr(model, "card", None) is None or not model.card.mean:
        raise ValueError(
            "the model has no card, so the mean and std of its input are not known; train it with fit, load it with "
            "load_model, or set model.card = ModelCard(class_names, mean, std)"
        )
    check_images(images)
    whole_number("batch_size", batch_size, 1)
    device = next(model.parameters()).device
    logits = []
    with in_eval_mode(model):
        for batch in images.split(batch_size):
            x = model.card.normalize(batch.to(device))
            with autocast(device, precision):
                answers = [model(view).float() for view in ([x, x.flip(-1)] if mirrored else [x])]
            logits.append((sum(answers) / len(answers)).cpu())
    return torch.cat(logits)


def evaluate(
    model: nn.Module,
    images: UInt8[Tensor, "N C H W"],
    labels: Int64[Tensor, " N"],
    *,
    batch_size: int = 500,
    label_smoothing: float = 0.0,
    precision: str = "float32",
    mirrored: bool = False,
) -> Evaluation:
    """Let the model classify images and compare with their labels; see `predict` for what it raises.

    Shapes: images [N, C, H, W] of 0 to 255, labels [N].
    Raises TypeError or ValueError for labels that are not int64 of 0..K-1, one an image, and ValueError for a smoothing
    outside of 0..1.
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing is {label_smoothing}; it must be from 0 to 1")
    logits = predict(model, images, batch_size=batch_size, precision=precision, mirrored=mirrored)
    check_labels(labels, len(images), logits.shape[1])
    labels = labels.cpu()
    losses = F.cross_entropy(logits, labels, label_smoothing=label_smoothing, reduction="none")
    confidences, predictions = logits.softmax(dim=1).max(dim=1)
    classes = logits.shape[1]
    return Evaluation(
        accuracy=(predictions == labels).double().mean().item(),
        loss=losses.double().mean().item(),
        losses=losses,
        labels=labels,
        predictions=predictions,
        confidences=confidences,
        confusion=torch.bincount(labels * classes + predictions, minlength=classes**2).view(classes, classes),
    )
