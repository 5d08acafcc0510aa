"""Optimizers: what turns gradients into steps, and a moving average that makes the last steps smoother.

    AdamW     every weight has a step size of its own
    Muon      a matrix moves as a whole, by the nearest orthogonal matrix to its mean gradient; AdamW for the rest

Sources: Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization", algorithm 2 (AdamW); Jordan et al. 2024,
"Muon: An optimizer for hidden layers"; Liu et al. 2025, "Muon is Scalable for LLM Training", section 2.2 (its step
size); Polyak and Juditsky 1992, "Acceleration of Stochastic Approximation by Averaging".
"""

import copy

import torch
from torch import nn


def make_optimizers(
    model: nn.Module, name: str, learning_rate: float, weight_decay: float
) -> list[torch.optim.Optimizer]:
    """Build AdamW ("adamw"), or Muon for the matrices in the blocks and AdamW for the rest ("muon").

    All matrices decay; biases, norms, the class token and the positions are left alone. A matrix that shrinks is a
    simpler function; a position that shrinks is only harder to see. Muon's steps are scaled to the length of AdamW's,
    so one learning rate serves both.
    """
    hidden, matrices, others = [], [], []
    for key, parameter in model.named_parameters():
        is_matrix = parameter.ndim >= 2 and not key.endswith(("cls_token", "pos_embed"))
        in_block = name == "muon" and parameter.ndim == 2 and "blocks." in key
        (hidden if is_matrix and in_block else matrices if is_matrix else others).append(parameter)
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizers = [torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.999), fused=True)]
    if hidden:
        muon = torch.optim.Muon(
            hidden, lr=learning_rate, weight_decay=weight_decay, momentum=0.95, adjust_lr_fn="match_rms_adamw"
        )
        optimizers.append(muon)
    return optimizers


class MovingAverage:
    """A copy of a model whose weights follow it slowly: each step, average <- decay * average + (1 - decay) * weights.

    In the first steps the decay is smaller, (1 + step) / (10 + step), or it would remember the untrained model.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay, self.steps = decay, 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move a little towards the weights of the model."""
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        for kept, new in zip(self.model.state_dict().values(), model.state_dict().values(), strict=True):
            if kept.is_floating_point():
                kept.lerp_(new, 1 - decay)
            else:
                kept.copy_(new)
