"""Why weights do not fit a model, as far as names and shapes tell."""

from torch import Tensor


def unfit(weights: dict[str, Tensor], own: dict[str, Tensor]) -> list[str]:
    return [key for key in own if key in weights and weights[key].shape != own[key].shape]


def likely_reason(weights: dict[str, Tensor], own: dict[str, Tensor]) -> str:
    if not own.keys() & weights.keys():
        return "these are not the weights of a Vision Transformer, or they come from a library that is not known here"
    if "fc_norm.weight" in weights:
        return "this model of timm takes the mean before its last norm (fc_norm), which the model here cannot do"
    if "dist_token" in weights:
        return "DeiT has one token more, for distillation (dist_token), which the model here does not have"
    bad = {*unfit(weights, own), *(own.keys() ^ weights.keys())}
    if all(key.startswith(("head.", "pre_logits.")) for key in bad):
        return _reason_of_the_head(weights, own)
    differences = _differences(weights, own)
    if differences:
        return "; ".join(differences)
    config = "dim, depth, patch_size, image_size, num_classes"
    return f"compare its config ({config}) with that of the weights"


def _reason_of_the_head(weights: dict[str, Tensor], own: dict[str, Tensor]) -> str:
    keep = "keep the model's own head with skip_head=True"
    if "head.weight" not in weights:
        return f"the weights have no head; {keep}"
    if weights.keys() ^ own.keys():
        return f"only one of the two has a tanh layer before its head (representation_size); set it alike, or {keep}"
    theirs, ours = len(weights["head.weight"]), len(own["head.weight"])
    if theirs == ours:
        return f"the parts of the head do not fit together, or differ in their input; {keep}"
    return (
        f"the weights know {theirs} classes and the model {ours}; build it with num_classes={theirs}, or keep its own "
        "head with skip_head=True"
    )


def _differences(weights: dict[str, Tensor], own: dict[str, Tensor]) -> list[str]:
    """Read from names and shapes in what the config of the weights differs from that of the model."""

    def blocks(names: dict[str, Tensor]) -> int:
        return len({name.split(".")[1] for name in names if name.startswith("blocks.")})

    found = {"blocks": (blocks(weights), blocks(own))}
    for what, name, axis in (
        ("dim", "norm.weight", 0),
        ("numbers in the hidden layer of the MLP", "blocks.0.mlp.fc1.bias", 0),
        ("channels", "patch_embed.proj.weight", 1),
        ("pixels a patch side", "patch_embed.proj.weight", 2),
        ("positions", "pos_embed", 1),
    ):
        if name in weights and name in own and weights[name].ndim == own[name].ndim:
            found[what] = weights[name].shape[axis], own[name].shape[axis]
    if found.get("dim", (0, 0))[0] != found.get("dim", (0, 0))[1]:
        found.pop("numbers in the hidden layer of the MLP", None)  # it follows from the other
    words = [
        f"the weights have {theirs} {what} and the model {ours}"
        for what, (theirs, ours) in found.items()
        if theirs != ours
    ]
    biases = [any(name.endswith("attn.qkv.bias") for name in names) for names in (weights, own)]
    if biases[0] != biases[1]:
        words.append(f"qkv_bias is {biases[0]} for the weights and {biases[1]} for the model")
    return words
