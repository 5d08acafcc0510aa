"""The class token: one learned vector in front of the patches, whose output stands for the whole image.

    tokens [B, N, D]  ->  [B, N+1, D]        position 0 is the class token

Source: Dosovitskiy et al. 2021, section 3.1, x_class of equation 1; the idea is BERT's [CLS] (Devlin et al. 2019).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vit_tutorial.inputs import check_kind, whole_number


class ClassToken(nn.Module):
    """Put one learned vector, the same for every image, in front of each sequence.

    Shapes: [B, N, D] -> [B, N+1, D]. The parameter `cls_token` is [1, 1, D].
    Raises ValueError if D is below 1, or the tokens do not have D numbers each.
    Source: section 3.1 of the paper, equation 1.
    """

    def __init__(self, dim: int):
        super().__init__()
        whole_number("dim", dim, 1)
        self.cls_token = nn.Parameter(torch.empty(1, 1, dim))
        nn.init.normal_(self.cls_token, std=0.02)

    def forward(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B N+1 D"]:
        check_kind("tokens", tokens, Tensor)
        if tokens.ndim != 3 or tokens.shape[-1] != self.cls_token.shape[-1]:
            raise ValueError(
                f"tokens must be [B, N, {self.cls_token.shape[-1]}]; got shape {list(tokens.shape)}; "
                "the class token and the patch embedding need the same dim"
            )
        first = self.cls_token.expand(tokens.shape[0], -1, -1)  # [1, 1, D] -> [B, 1, D], without a copy
        return torch.cat([first, tokens], dim=1)
