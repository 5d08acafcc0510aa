"""What is looked at before a model learns: whether anything in it may change."""

from torch import nn


def check_learns(model: nn.Module) -> None:
    """Raise ValueError if no parameter of the model may change."""
    frozen = [parameter.numel() for parameter in model.parameters() if not parameter.requires_grad]
    if len(frozen) == len(list(model.parameters())):
        raise ValueError(
            f"all {sum(frozen)} parameters of the model are frozen, so it cannot learn; free some of them, such as "
            "model.head.requires_grad_()"
        )
