"""What is looked at before a model learns: whether it has numbers, and whether any of them may change."""

from torch import nn


def check_numbers(model: nn.Module) -> None:
    """Raise ValueError if the model has shapes alone, or numbers that gradients cannot be had of."""
    parameters = list(model.parameters())
    if any(parameter.is_meta for parameter in parameters):
        raise ValueError(
            "the model is on the device meta, where it has shapes and no numbers; build it, or load it, outside of "
            "torch.device('meta')"
        )
    if any(parameter.is_inference() for parameter in parameters):
        raise ValueError(
            "the model was made inside of torch.inference_mode, so it cannot learn; train a copy of it, "
            "copy.deepcopy(model)"
        )


def check_learns(model: nn.Module) -> None:
    """Raise ValueError if no parameter of the model may change."""
    frozen = [parameter.numel() for parameter in model.parameters() if not parameter.requires_grad]
    if len(frozen) == len(list(model.parameters())):
        raise ValueError(
            f"all {sum(frozen)} parameters of the model are frozen, so it cannot learn; free some of them, such as "
            "model.head.requires_grad_()"
        )
