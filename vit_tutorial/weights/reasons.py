"""Why weights do not fit a model, as far as names and shapes tell."""

import re

from torch import Tensor


def unfit(weights: dict[str, Tensor], own: dict[str, Tensor]) -> list[str]:
    """Give the names, in the order of the model's own, of which the weights have a tensor of another shape."""
    return [key for key in own if key in weights and weights[key].shape != own[key].shape]


def first_few(*kinds: list[str], most: int = 4) -> str:
    """Name the first problems, some of each kind, and say how many more there are."""
    taken, total = [0] * len(kinds), sum(map(len, kinds))
    while sum(taken) < min(most, total):
        for i, kind in enumerate(kinds):
            taken[i] += taken[i] < len(kind) and sum(taken) < most
    shown = "; ".join(problem for kind, count in zip(kinds, taken, strict=True) for problem in kind[:count])
    return shown + (f", and {total - most} more" if total > most else "")


# What other models do and ours cannot, by the names that it leaves in a state dict.
_ELSEWHERE = [
    (r"(?:vision_model|text_model|visual)\.", "they are of a model of pictures and texts, such as CLIP or SigLIP"),
    (r"reg_token|register_tokens|storage_tokens", "they have register tokens"),
    (r"dist_token|head_dist", "they have one token more, for distillation, as a distilled DeiT has"),
    (r"norm_pre\.|ln_pre\.|pre_layrnorm\.", "they have a norm before the blocks"),
    (r".*\.(?:q_norm|k_norm)\.", "they have a norm of queries and keys"),
    (r"attn_pool\.|.*MAPHead_0|probe", "they pool with attention"),
    (r".*decoder|mask_token", "they have a decoder, as masked autoencoders have"),
    (r".*(?:rope|freqs)", "they turn queries and keys by their positions (RoPE)"),
    (r".*relative_position|.*rel_pos", "they have relative positions"),
    (r".*\.(?:q_bias|v_bias)", "they have biases for queries and values alone"),
    (r".*\.mlp\.(?:w12?|w3|weights_in|fc1_g|gate_proj)\.", "they have a gated MLP (SwiGLU)"),
    (r".*\.(?:ls[12]|gamma_?[12]?)", "they have layer scale in another place than ours can fold it into"),
    (r"fc_norm\.", "this model of timm takes the mean before its last norm"),
]


def likely_reason(weights: dict[str, Tensor], own: dict[str, Tensor]) -> str:
    """Say in one clause what is most likely wrong, and the way out."""
    before = _before_all_names(weights, own)
    if before:  # it hides what a model of ours can do, such as layer scale
        return f"their names begin with {before!r}; take it off: {{k.removeprefix({before!r}): v for k, v in …}}"
    if elsewhere := _parts_of_others(weights, own):
        return f"{', '.join(elsewhere)}, which the model here cannot do"
    if not own.keys() & weights.keys():
        return "these are not the weights of a Vision Transformer, or they come from a library that is not known here"
    bad = {*unfit(weights, own), *(own.keys() ^ weights.keys())}
    if all(key.startswith(("head.", "pre_logits.")) for key in bad):
        return _reason_of_the_head(weights, own)
    differences = _differences(weights, own)
    if differences:
        return "; ".join(differences)
    config = "dim, depth, patch_size, image_size, num_classes"
    return f"compare its config ({config}) with that of the weights"


def _parts_of_others(weights: dict[str, Tensor], own: dict[str, Tensor]) -> list[str]:
    clauses = []
    for pattern, clause in _ELSEWHERE:
        found = next((match for name in weights if name not in own and (match := re.match(pattern, name))), None)
        if found:
            clauses.append(f"{clause} ({found[0].rstrip('.')})")
    wide, narrow = (weights.get(f"blocks.0.mlp.{name}.weight") for name in ("fc1", "fc2"))
    if wide is not None and narrow is not None and len(wide) == 2 * narrow.shape[-1]:
        clauses.append("they have a gated MLP (SwiGLU), whose second layer takes half of what the first gives")
    return clauses


def _before_all_names(weights: dict[str, Tensor], own: dict[str, Tensor]) -> str:
    """Look for what stands before all names; nothing where it stands before less than half of ours."""
    for name in [] if own.keys() & weights.keys() else weights:
        before = next((name.removesuffix(key) for key in own if name.endswith(f".{key}")), None)
        if before and sum(f"{before}{key}" in weights for key in own) > len(own) / 2:
            return before
    return ""


def _reason_of_the_head(weights: dict[str, Tensor], own: dict[str, Tensor]) -> str:
    keep = "keep the model's own head with skip_head=True"
    if "head.weight" not in weights:
        return f"the weights have no head; {keep}"
    if weights.keys() ^ own.keys():
        return f"only one of the two has a tanh layer before its head (representation_size); set it alike, or {keep}"
    theirs, ours = (names["head.weight"].shape[-1] for names in (weights, own))
    if theirs == 2 * ours:
        return f"their head reads the class token and the mean patch side by side, {theirs} numbers; {keep}"
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
    words = []
    for what, name, ours in (
        ("a class token", "cls_token", "pool='cls'"),
        ("learned positions", "pos_embed", "position='learned'"),
        ("a norm after the last block", "norm.", "norm='pre'"),
        ("a ResNet before the patches", "patch_embed.backbone.", "stem='hybrid'"),
    ):
        theirs, mine = (any(key.startswith(name) for key in names) for names in (weights, own))
        if theirs != mine:
            words.append(f"only the {'weights have' if theirs else 'model has'} {what} ({ours})")
    if ("cls_token" in weights) != ("cls_token" in own):
        found.pop("positions", None)  # they follow from it
    words += [
        f"the weights have {theirs} {what} and the model {ours}"
        for what, (theirs, ours) in found.items()
        if theirs != ours
    ]
    if "positions" in found and found["positions"][0] == found["positions"][1] - 1 and "cls_token" in weights:
        words.append("if their class token has no position (timm's no_embed_class), put a row of zeros before the rest")
    elif found.get("positions", (0, 0))[0] != found.get("positions", (0, 0))[1]:
        words.append("say how they lie with grid_size=(rows, columns)")
    biases = [any(name.endswith("attn.qkv.bias") for name in names) for names in (weights, own)]
    if biases[0] != biases[1]:
        words.append(f"qkv_bias is {biases[0]} for the weights and {biases[1]} for the model")
    return words
