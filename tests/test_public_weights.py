"""Public weights: every library's layout loads into our model, which then gives that library's logits.

Google's two layouts are written here by their official names and shapes, and computed with by an independent model that
uses the arrays as they are; timm's own reader of these files is the second witness.
"""

import io
import math
import pickle
import re
import zipfile
from functools import partial

import numpy as np
import pytest
import timm
import torch
import torchvision
from references import assert_same, exactly, randomize
from safetensors.torch import save_file
from timm.models.vision_transformer_hybrid import HybridEmbed, _resnetv2
from torch.nn import functional as F
from torchvision.models.vision_transformer import interpolate_embeddings

from vit_tutorial import ViT, ViTConfig, load_weights
from vit_tutorial.weights import files

SMALL = {"image_size": 32, "patch_size": 8, "num_classes": 5, "dim": 24, "depth": 2, "num_heads": 3}


def model(**options):
    return randomize(ViT(ViTConfig(**(SMALL | {"gelu": "tanh"} | options))).double().eval())


def blank(**options):
    """The same model with every number 0, so that what is loaded shows."""
    zeros = model(**options)
    for parameter in zeros.parameters():
        parameter.data.zero_()
    return zeros


def images(size=32, count=2):
    torch.manual_seed(1)
    return torch.randn(count, 3, size, size, dtype=torch.float64)


# ---------------------------------------------------------------------------------------------- Google's files


def google_weights(big_vision=False, cls=True, representation_size=None, grid=4, seed=0):
    """Random arrays with the names and shapes of vit_jax, or of big_vision."""
    rng = np.random.default_rng(seed)
    dim, depth, heads, hidden, patch, classes = 24, 2, 3, 96, 8, 5
    layer_norm, attention, mlp = ((0, 1), 0, 0) if big_vision else ((0, 2), 1, 3)
    shapes = {"embedding/kernel": (patch, patch, 3, dim), "embedding/bias": (dim,)}
    if cls:
        shapes["cls"] = (1, 1, dim)
    if big_vision:
        shapes["pos_embedding"] = (1, grid**2, dim)
    else:
        shapes["Transformer/posembed_input/pos_embedding"] = (1, grid**2 + cls, dim)
    for i in range(depth):
        block = f"Transformer/encoderblock_{i}"
        for number in layer_norm:
            shapes |= {f"{block}/LayerNorm_{number}/{name}": (dim,) for name in ("scale", "bias")}
        heads_of = f"{block}/MultiHeadDotProductAttention_{attention}"
        for name in ("query", "key", "value"):
            shapes[f"{heads_of}/{name}/kernel"] = (dim, heads, dim // heads)
            shapes[f"{heads_of}/{name}/bias"] = (heads, dim // heads)
        shapes |= {f"{heads_of}/out/kernel": (heads, dim // heads, dim), f"{heads_of}/out/bias": (dim,)}
        for number, (wide, narrow) in enumerate([(dim, hidden), (hidden, dim)]):
            shapes[f"{block}/MlpBlock_{mlp}/Dense_{number}/kernel"] = (wide, narrow)
            shapes[f"{block}/MlpBlock_{mlp}/Dense_{number}/bias"] = (narrow,)
    shapes |= {f"Transformer/encoder_norm/{name}": (dim,) for name in ("scale", "bias")}
    if representation_size:
        shapes |= {"pre_logits/kernel": (dim, representation_size), "pre_logits/bias": (representation_size,)}
    shapes |= {"head/kernel": (representation_size or dim, classes), "head/bias": (classes,)}
    return {name: rng.normal(scale=0.3, size=shape) for name, shape in shapes.items()}


def google_forward(weights, images, patch=8):
    """Compute as the Flax models do, with their arrays as they are: einsum over [D, h, d], channels last."""
    w = {name: torch.from_numpy(array) for name, array in weights.items()}
    big_vision = "pos_embedding" in w
    layer_norm, attention, mlp = ((0, 1), 0, 0) if big_vision else ((0, 2), 1, 3)

    def norm(x, name):
        centred = x - x.mean(-1, keepdim=True)
        return (
            centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt() * w[f"{name}/scale"] + w[f"{name}/bias"]
        )

    rows = images.shape[-1] // patch
    tiles = images.permute(0, 2, 3, 1).unflatten(2, (rows, patch)).unflatten(1, (rows, patch))
    x = torch.einsum("bipjqc,pqcd->bijd", tiles, w["embedding/kernel"]).flatten(1, 2) + w["embedding/bias"]
    if big_vision:
        x = x + w["pos_embedding"]  # before the class token
    if "cls" in w:
        x = torch.cat([w["cls"].expand(len(x), -1, -1), x], dim=1)
    if not big_vision:
        x = x + w["Transformer/posembed_input/pos_embedding"]
    for i in range(2):
        block = f"Transformer/encoderblock_{i}"
        y = norm(x, f"{block}/LayerNorm_{layer_norm[0]}")
        heads = f"{block}/MultiHeadDotProductAttention_{attention}"
        q, k, v = (
            torch.einsum("bnD,Dhd->bnhd", y, w[f"{heads}/{name}/kernel"]) + w[f"{heads}/{name}/bias"]
            for name in ("query", "key", "value")
        )
        share = torch.einsum("bqhd,bkhd->bhqk", q / math.sqrt(q.shape[-1]), k).softmax(-1)
        mixed = torch.einsum("bhqk,bkhd->bqhd", share, v)
        x = x + torch.einsum("bqhd,hdD->bqD", mixed, w[f"{heads}/out/kernel"]) + w[f"{heads}/out/bias"]
        y = norm(x, f"{block}/LayerNorm_{layer_norm[1]}")
        dense = f"{block}/MlpBlock_{mlp}/Dense_"
        y = F.gelu(y @ w[f"{dense}0/kernel"] + w[f"{dense}0/bias"], approximate="tanh")
        x = x + y @ w[f"{dense}1/kernel"] + w[f"{dense}1/bias"]
    x = norm(x, "Transformer/encoder_norm")
    x = x[:, 0] if "cls" in w else x.mean(1)
    if "pre_logits/kernel" in w:
        x = torch.tanh(x @ w["pre_logits/kernel"] + w["pre_logits/bias"])
    return x @ w["head/kernel"] + w["head/bias"]


LAYOUTS = {
    "vit_jax": ({}, {}),
    "vit_jax, tanh head": ({"representation_size": 7}, {"representation_size": 7}),
    "vit_jax, mean": ({"cls": False}, {"pool": "mean"}),
    "big_vision, class token": ({"big_vision": True}, {}),
    "big_vision, mean": ({"big_vision": True, "cls": False}, {"pool": "mean"}),
    "big_vision, tanh head": (
        {"big_vision": True, "cls": False, "representation_size": 6},
        {"pool": "mean", "representation_size": 6},
    ),
}


@pytest.mark.parametrize(("layout", "options"), LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("prefix", ["", "params/", "opt/target/"])
def test_googles_weights_give_googles_logits(tmp_path, layout, options, prefix):
    weights = google_weights(**layout)
    np.savez(tmp_path / "w.npz", **{prefix + name: array for name, array in weights.items()})
    ours = load_weights(model(**options), tmp_path / "w.npz")
    expected = google_forward(weights, images())
    assert expected.std() > 0.1
    assert_same(ours(images()), expected)


def test_the_optimizers_own_numbers_are_passed_over(tmp_path):
    weights = {f"opt/target/{name}": array for name, array in google_weights().items()}
    np.savez(tmp_path / "w.npz", **weights, **{"opt/state/step": np.array(3), "opt/state/mu": np.ones(4)})
    assert_same(load_weights(model(), tmp_path / "w.npz")(images()), google_forward(google_weights(), images()))


def test_blocks_in_one_array_are_taken_apart(tmp_path):
    weights = google_weights(big_vision=True)
    scanned = {name: array for name, array in weights.items() if "encoderblock_" not in name}
    for name, array in weights.items():
        if "encoderblock_0" in name:
            other = weights[name.replace("encoderblock_0", "encoderblock_1")]
            scanned[name.replace("encoderblock_0", "encoderblock")] = np.stack([array, other])
    np.savez(tmp_path / "w.npz", **{f"params/{name}": array for name, array in scanned.items()})
    assert_same(load_weights(model(), tmp_path / "w.npz")(images()), google_forward(weights, images()))


@pytest.mark.parametrize("big_vision", [False, True])
@pytest.mark.parametrize("size", [32, 48])
def test_timms_reader_of_googles_files_agrees(tmp_path, big_vision, size):
    """timm's reader works in float32, and stretches the positions for 48x48 pixels by its own rule: compare at 32."""
    weights = {name: array.astype(np.float32) for name, array in google_weights(big_vision=big_vision).items()}
    prefix = "params/" if big_vision else ""
    np.savez(tmp_path / "w.npz", **{prefix + name: array for name, array in weights.items()})
    theirs = timm.models.VisionTransformer(
        img_size=size,
        patch_size=8,
        num_classes=5,
        embed_dim=24,
        depth=2,
        num_heads=3,
        act_layer="gelu_tanh",
        no_embed_class=big_vision,
    ).eval()
    theirs.load_pretrained(str(tmp_path / "w.npz"))
    ours = load_weights(model(image_size=size).float(), tmp_path / "w.npz")
    if size == 32:
        assert_same(ours(images().float()), theirs(images().float()))
    for name in ("blocks.1.attn.qkv.weight", "blocks.0.attn.proj.weight", "patch_embed.proj.weight", "head.weight"):
        assert torch.equal(ours.state_dict()[name], theirs.state_dict()[name])


def aligned_bilinear(grid, new):
    """Stretch [h, w, D] so that the corners stay where they are, by hand."""
    height, width, _ = grid.shape
    out = torch.empty(new, new, grid.shape[-1], dtype=grid.dtype)
    for i in range(new):
        for j in range(new):
            y, x = i * (height - 1) / (new - 1), j * (width - 1) / (new - 1)
            top, left = min(int(y), height - 2), min(int(x), width - 2)
            b, r = y - top, x - left
            out[i, j] = (
                grid[top, left] * (1 - b) * (1 - r)
                + grid[top, left + 1] * (1 - b) * r
                + grid[top + 1, left] * b * (1 - r)
                + grid[top + 1, left + 1] * b * r
            )
    return out


@pytest.mark.parametrize("new", [3, 6, 9])
def test_googles_positions_are_stretched_with_their_corners_in_place(tmp_path, new):
    weights = google_weights()
    np.savez(tmp_path / "w.npz", **weights)
    ours = load_weights(model(image_size=8 * new), tmp_path / "w.npz")
    table = torch.from_numpy(weights["Transformer/posembed_input/pos_embedding"])
    expected = aligned_bilinear(table[0, 1:].unflatten(0, (4, 4)), new).flatten(0, 1)
    assert_same(ours.position.pos_embed[0, 1:], expected)
    assert_same(ours.position.pos_embed[:, :1], table[:, :1])


def test_a_google_hybrid_is_read(tmp_path):
    """The arrays of conv_root, gn_root and block/unit, made from timm's model, whose reader reads them back."""
    theirs = timm.models.VisionTransformer(
        img_size=32,
        patch_size=1,
        num_classes=5,
        embed_dim=24,
        depth=2,
        num_heads=3,
        act_layer="gelu_tanh",
        embed_layer=partial(HybridEmbed, _resnetv2(layers=(2, 1))),
    ).eval()
    weights = google_weights()
    rng = np.random.default_rng(1)
    resnet = {}
    for name, tensor in theirs.patch_embed.backbone.state_dict().items():
        array = rng.normal(scale=0.3, size=tensor.shape).astype(np.float32) + ("norm" in name and "weight" in name)
        name = name.replace("stem.conv.weight", "conv_root/kernel").replace("stem.norm.", "gn_root/")
        parts = name.split(".")
        if parts[0] == "stages":
            unit = f"block{int(parts[1]) + 1}/unit{int(parts[3]) + 1}"
            rest = "/".join(parts[4:]).replace("downsample/conv", "conv_proj").replace("downsample/norm", "gn_proj")
            name = f"{unit}/{rest.replace('norm', 'gn')}"
        name = name.replace("weight", "kernel" if array.ndim == 4 else "scale")
        resnet[name] = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
    weights |= {"embedding/kernel": rng.normal(scale=0.05, size=(1, 1, 512, 24)), **resnet}
    np.savez(tmp_path / "w.npz", **{name: array.astype(np.float32) for name, array in weights.items()})
    theirs.load_pretrained(str(tmp_path / "w.npz"))
    ours = load_weights(model(stem="hybrid", stem_layers=(2, 1)).float(), tmp_path / "w.npz")
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], tensor), name
    torch.testing.assert_close(ours(images().float()), theirs(images().float()), rtol=1e-4, atol=1e-4)


def google_hybrid(seed=0, spread=0.05):
    """Random arrays of an R+ViT with stages of 2 and 1 units, whose tokens are 1x1 patches of the feature map."""
    rng = np.random.default_rng(seed)
    convs = {"conv_root": (7, 7, 3, 64)}
    for block, units, channels, before in ((1, 2, 256, 64), (2, 1, 512, 256)):
        for unit in range(1, units + 1):
            name, width = f"block{block}/unit{unit}", channels // 4
            came = before if unit == 1 else channels
            if unit == 1:
                convs[f"{name}/conv_proj"] = (1, 1, came, channels)
            convs |= {f"{name}/conv1": (1, 1, came, width), f"{name}/conv2": (3, 3, width, width)}
            convs[f"{name}/conv3"] = (1, 1, width, channels)
    resnet = {}
    for name, shape in convs.items():
        resnet[f"{name}/kernel"] = rng.normal(scale=spread, size=shape)
        norm = name.replace("conv", "gn")
        resnet |= {f"{norm}/{part}": rng.normal(part == "scale", 0.2, shape[-1]) for part in ("scale", "bias")}
    return google_weights() | resnet | {"embedding/kernel": rng.normal(scale=0.05, size=(1, 1, 512, 24))}


def google_resnet(weights, images, standardise, epsilon):
    """Compute the feature map [B, h, w, C] as Google's code does, with `standardise` and `epsilon` of one's choice."""
    w = {name: torch.from_numpy(array) for name, array in weights.items()}

    def same(x, size, stride, fill=0.0):  # the border that Flax calls SAME
        missing = [max((-(-side // stride) - 1) * stride + size - side, 0) for side in (x.shape[3], x.shape[2])]
        return F.pad(x, [n for m in missing for n in (m // 2, m - m // 2)], value=fill)

    def conv(x, name, stride=1):
        kernel = w[f"{name}/kernel"]
        kernel = kernel - kernel.mean((0, 1, 2))
        kernel = kernel / standardise(kernel.square().mean((0, 1, 2)))
        return F.conv2d(same(x, len(kernel), stride), kernel.permute(3, 2, 0, 1), stride=stride)

    def norm(x, name):
        groups = x.unflatten(1, (32, -1))
        centred = groups - groups.mean((2, 3, 4), keepdim=True)
        scaled = centred / (centred.square().mean((2, 3, 4), keepdim=True) + epsilon).sqrt()
        return scaled.flatten(1, 2) * w[f"{name}/scale"].view(-1, 1, 1) + w[f"{name}/bias"].view(-1, 1, 1)

    x = F.relu(norm(conv(images, "conv_root", 2), "gn_root"))
    x = F.max_pool2d(same(x, 3, 2, -math.inf), 3, 2)
    for name, stride in (("block1/unit1", 1), ("block1/unit2", 1), ("block2/unit1", 2)):
        shortcut = x
        if f"{name}/conv_proj/kernel" in w:
            shortcut = norm(conv(x, f"{name}/conv_proj", stride), f"{name}/gn_proj")
        for number in (1, 2, 3):
            x = norm(conv(x, f"{name}/conv{number}", stride if number == 2 else 1), f"{name}/gn{number}")
            x = F.relu(x if number < 3 else x + shortcut)
    return x


def test_how_far_googles_hybrids_are_from_ours():
    """The docstring of load_weights says it: ours computes as timm's, with other small constants than Google's."""
    weights, pixels = google_hybrid(), images()
    ours = load_weights(model(stem="hybrid", stem_layers=(2, 1)), {k: torch.from_numpy(v) for k, v in weights.items()})
    timms = google_resnet(weights, pixels, lambda variance: (variance + 1e-8).sqrt(), 1e-5)
    assert_same(ours.forward_intermediates(pixels)["feature_map"], timms)
    googles = google_resnet(weights, pixels, lambda variance: variance.sqrt() + 1e-5, 1e-6)
    rest = {name: array for name, array in weights.items() if not name.startswith(("conv_root", "gn_root", "block"))}
    expected = google_forward(rest, googles, patch=1)
    off = (ours(pixels) - expected).abs().max() / expected.std()
    assert 1e-6 < off < 1e-4


# ---------------------------------------------------------------------------------------------- other resolutions


def test_torchvisions_positions_are_stretched_as_torchvision_does_it():
    theirs = randomize(torchvision.models.VisionTransformer(32, 8, 2, 3, 24, 96, num_classes=5).double().eval())
    bigger = torchvision.models.VisionTransformer(48, 8, 2, 3, 24, 96, num_classes=5).double().eval()
    bigger.load_state_dict(interpolate_embeddings(48, 8, theirs.state_dict()))
    ours = load_weights(model(image_size=48, gelu="exact"), theirs.state_dict())
    assert_same(ours(images(48)), bigger(images(48)))


@pytest.mark.parametrize("size", [24, 56])
def test_timms_positions_are_stretched_as_timm_does_it(size):
    def make(size):
        return timm.models.VisionTransformer(
            img_size=size, patch_size=8, num_classes=5, embed_dim=24, depth=2, num_heads=3
        )

    theirs = randomize(make(32).eval())
    other = make(size).eval()
    other.load_state_dict(timm.models.vision_transformer.checkpoint_filter_fn(theirs.state_dict(), other))
    ours = load_weights(model(image_size=size, gelu="exact").float(), theirs.state_dict())
    assert_same(ours(images(size).float()), other(images(size).float()))


def test_old_names_of_torchvision_are_known():
    theirs = torchvision.models.VisionTransformer(32, 8, 2, 3, 24, 96, num_classes=5).double()
    weights = randomize(theirs).state_dict()
    old = {
        name.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): value
        for name, value in weights.items()
    }
    assert old.keys() != weights.keys()
    assert_same(load_weights(model(gelu="exact"), old)(images()), theirs.eval()(images()))


@pytest.mark.parametrize(
    "heads", [torch.nn.Linear(24, 5), torch.nn.Sequential(torch.nn.Dropout(0.1), torch.nn.Linear(24, 5))]
)
def test_a_head_that_was_put_on_torchvisions_model_is_its_head(heads):
    theirs = torchvision.models.VisionTransformer(32, 8, 2, 3, 24, 96, num_classes=7)
    theirs.heads = heads
    randomize(theirs.double().eval())
    assert_same(load_weights(model(gelu="exact"), theirs.state_dict())(images()), theirs(images()))


def test_two_layers_on_torchvisions_model_are_not_taken_for_one():
    theirs = torchvision.models.VisionTransformer(32, 8, 2, 3, 24, 96, num_classes=7)
    theirs.heads = torch.nn.Sequential(torch.nn.Linear(24, 5), torch.nn.ReLU(), torch.nn.Linear(5, 5))
    with pytest.raises(ValueError, match=exactly("missing head.weight; missing head.bias; unknown heads.0.weight")):
        load_weights(model(), theirs.state_dict())


# ---------------------------------------------------------------------------------------------- other heads


def test_another_number_of_classes_is_refused_unless_the_head_is_left_out():
    source, ours = model(num_classes=7), model()
    before = {name: value.clone() for name, value in ours.state_dict().items()}
    message = (
        "(head.weight is [7, 24] and should be [5, 24]; head.bias is [7] and should be [5]); nothing was loaded: the "
        "weights know 7 classes and the model 5; build it with num_classes=7, or keep its own head with skip_head=True"
    )
    with pytest.raises(ValueError, match=exactly(message)):
        load_weights(ours, source.state_dict())
    load_weights(ours, source.state_dict(), skip_head=True)
    for name, value in ours.state_dict().items():
        assert torch.equal(value, before[name] if name.startswith("head.") else source.state_dict()[name]), name


def test_the_tanh_head_of_pre_training_is_left_out_too():
    source = model(representation_size=6, num_classes=100)
    ours = load_weights(model(), source.state_dict(), skip_head=True)
    assert torch.equal(ours.class_token.cls_token, source.class_token.cls_token)


def test_with_skip_head_all_else_must_still_fit():
    weights = model(depth=3).state_dict()
    with pytest.raises(ValueError, match=exactly("(unknown blocks.2.norm1.weight;")):
        load_weights(model(), weights, skip_head=True)


# ---------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("wrap", [None, "model", "state_dict"])
@pytest.mark.parametrize("old_format", [False, True])
def test_files_of_torch_save_are_read(tmp_path, wrap, old_format):
    source = model()
    content = source.state_dict() if wrap is None else {wrap: dict(source.state_dict()), "epoch": 3}
    torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=not old_format)
    assert torch.equal(load_weights(model(), tmp_path / "w.pth")(images()), source(images()))


class Bomb:
    def __reduce__(self):
        return (print, ("code ran",))


def with_code(path):
    torch.save({"model": Bomb()}, path)


def cut(path):
    whole = io.BytesIO()
    torch.save(model().state_dict(), whole)
    path.write_bytes(whole.getvalue()[:5000])


BROKEN = {
    "pickled with code": (
        "w.pth",
        with_code,
        "holds more than tensors (print), and reading that could run any code",
    ),
    "a plain pickle": ("w.pt", lambda path: path.write_bytes(pickle.dumps(Bomb())), "holds more than tensors"),
    "cut short": ("w.pth", cut, "(5000 bytes) is not a whole file of torch.save"),
    "empty": ("w.bin", lambda path: path.write_bytes(b""), "(0 bytes) is not a whole file of torch.save"),
    "a list": ("w.pt", lambda path: torch.save([1, 2], path), "holds no state dict"),
    "npz cut short": ("w.npz", lambda path: path.write_bytes(b"PK\x03\x04 and no more"), "is not a whole .npz file"),
    "npz empty": ("w.npz", lambda path: path.write_bytes(b""), "(0 bytes) is not a whole .npz file"),
    "npz with objects": (
        "w.npz",
        lambda path: np.savez(path, cls=np.array([Bomb()], dtype=object)),
        "holds Python objects, and reading those could run any code in it",
    ),
    "text named npz": ("w.npz", lambda p: p.write_text("hello world, no numbers"), "it begins with 'hello world"),
    "a page of the web": (
        "w.pth",
        lambda p: p.write_text("<!DOCTYPE html>"),
        "torch.save; it begins with '<!DOC",
    ),
    "text of no known kind": (
        "w.ckpt",
        lambda p: p.write_text("hello world"),
        "(11 bytes) is not a whole file",
    ),
    "a whole model": ("w.pth", lambda p: torch.save(model(), p), "holds more than tensors (vit_tutorial.vit.ViT)"),
    "npz cut in the middle": (
        "w.npz",
        lambda p: (np.savez(p, cls=np.zeros(999)), p.write_bytes(p.read_bytes()[:600])),
        "(600 bytes) is not a whole .npz file",
    ),
    "an npz of something else": (
        "w.npz",
        lambda path: np.savez(path, images=np.zeros((2, 2))),
        "nothing was loaded: these are not the weights of a Vision Transformer, or they come from a library",
    ),
}


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(("name", "write", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_refused_and_no_code_runs(tmp_path, capsys, name, write, message):
    write(tmp_path / name)
    ours = model()
    with pytest.raises(ValueError, match=exactly(message)):
        load_weights(ours, tmp_path / name)
    assert "code ran" not in capsys.readouterr().out
    for key, value in model().state_dict().items():
        assert torch.equal(ours.state_dict()[key], value)


@pytest.mark.parametrize("name", ["w.pth", "w.PTH", "w.ckpt", "w.npz", "weights"])
def test_the_first_bytes_say_what_a_file_is(tmp_path, name):
    source = model()
    for write in (torch.save, save_file):
        write(source.state_dict(), tmp_path / name)
        assert torch.equal(load_weights(blank(), tmp_path / name)(images()), source(images()))
    np.savez(tmp_path / "google.npz", **google_weights())
    (tmp_path / "google.npz").rename(tmp_path / name)
    assert load_weights(blank(), tmp_path / name).head.bias.any()


@pytest.mark.parametrize("first", [b"\x80", b"PK"])
def test_the_length_of_a_header_is_not_taken_for_a_kind_of_file(tmp_path, first):
    """The first bytes of a .safetensors file are a number; those of a pickle and of a zip mean what they are."""
    source = model()
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    content = (tmp_path / "w.safetensors").read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    step = 256 ** len(first)
    length = -(-(start - 8 - int.from_bytes(first, "little")) // step) * step + int.from_bytes(first, "little")
    header = length.to_bytes(8, "little") + content[8:start].ljust(length)
    assert header.startswith(first)
    (tmp_path / "w.safetensors").write_bytes(header + content[start:])
    assert torch.equal(load_weights(blank(), tmp_path / "w.safetensors")(images()), source(images()))


@pytest.mark.parametrize("wrap", ["model", "state_dict", "model_state_dict", "net"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod."])
def test_what_training_programs_wrap_around_weights_is_taken_off(wrap, prefix):
    source = model()
    wrapped = {f"{prefix}{key}": value for key, value in source.state_dict().items()}
    assert torch.equal(load_weights(blank(), {wrap: wrapped, "epoch": 3})(images()), source(images()))
    assert torch.equal(load_weights(blank(), wrapped)(images()), source(images()))


ODD = {
    "a list": (lambda value: value.tolist(), "norm.bias is a list"),
    "meta": (lambda value: value.to("meta"), "norm.bias is a tensor on the device meta"),
    "sparse": (lambda value: value.to_sparse(), "norm.bias is a sparse tensor"),
    "quantized": (
        lambda value: torch.quantize_per_tensor(value.float(), 0.1, 0, torch.qint8),
        "norm.bias is a quantized tensor",
    ),
    "complex": (lambda value: value.to(torch.complex64), "norm.bias is a tensor of torch.complex64"),
    "objects": (lambda value: np.array([None]), "norm.bias is a ndarray"),
}


@pytest.mark.filterwarnings("ignore:.*quantize")
@pytest.mark.parametrize(("change", "message"), ODD.values(), ids=ODD)
def test_a_value_that_is_no_tensor_of_numbers_is_named_and_nothing_is_loaded(change, message):
    ours, weights = blank(), model().state_dict()
    weights["norm.bias"] = change(weights["norm.bias"])
    with pytest.raises(ValueError, match=exactly(f"{message}") + ".*nothing was loaded: pass dense tensors"):
        load_weights(ours, weights)
    assert not any(parameter.any() for parameter in ours.parameters())


def test_arrays_of_numpy_are_weights_too():
    source = model()
    arrays = {key: value.numpy() for key, value in source.state_dict().items()}
    assert torch.equal(load_weights(blank(), arrays)(images()), source(images()))


def test_a_model_is_no_source():
    with pytest.raises(TypeError, match=exactly("the source of the weights is a ViT; pass its state_dict()")):
        load_weights(model(), model())
    with pytest.raises(TypeError, match=exactly("is a list; pass a state dict or a path")):
        load_weights(model(), [1])


REASONS = {
    "depth": ({"depth": 3}, "the weights have 3 blocks and the model 2"),
    "dim": ({"dim": 48}, "the weights have 48 dim and the model 24"),
    "MLP": ({"mlp_ratio": 2.0}, "the weights have 48 numbers in the hidden layer of the MLP and the model 96"),
    "channels": ({"in_channels": 1}, "the weights have 1 channels and the model 3"),
    "patch": ({"patch_size": 16}, "the weights have 16 pixels a patch side and the model 8"),
    "bias": ({"qkv_bias": False}, "qkv_bias is False for the weights and True for the model"),
    "tanh head": ({"representation_size": 6}, "only one of the two has a tanh layer before its head"),
    "two things": ({"depth": 1, "in_channels": 1}, "1 blocks and the model 2; the weights have 1 channels"),
}


@pytest.mark.parametrize(("options", "reason"), REASONS.values(), ids=REASONS)
def test_the_likely_reason_is_read_from_names_and_shapes(options, reason):
    with pytest.raises(ValueError, match="nothing was loaded: .*" + exactly(reason)):
        load_weights(model(), model(**options).state_dict())


def test_more_reasons():
    def refused(change):
        weights = model().state_dict()
        change(weights)
        with pytest.raises(ValueError, match="nothing was loaded: ") as caught:
            load_weights(model(), weights)
        return str(caught.value)

    assert "the weights have no head; keep the model's own" in refused(
        lambda w: [w.pop("head.weight"), w.pop("head.bias")]
    )
    assert "as a distilled DeiT has (dist_token)" in refused(lambda w: w.update(dist_token=torch.zeros(1, 1, 24)))
    assert "18 positions and the model 17" in refused(lambda w: w.update(pos_embed=torch.zeros(1, 18, 24)))
    assert "the parts of the head do not fit together" in refused(lambda w: w.update({"head.bias": torch.zeros(9)}))
    both = refused(lambda w: [w.update({f"x.{key}": w.pop(key)}) for key in list(w) if key.startswith("blocks.")])
    assert "missing blocks.0.norm1.weight; missing blocks.0.norm1.bias; unknown x.blocks" in both


def test_a_folder_and_a_home_are_understood(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="which is a folder"):
        load_weights(model(), tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    save_file(model().state_dict(), tmp_path / "w.safetensors")
    assert load_weights(blank(), "~/w.safetensors").head.bias.any()


@pytest.mark.parametrize("name", ["w.npz", "w.pth", "w.safetensors"])
def test_a_file_that_is_not_there(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=exactly(f"there is no file {tmp_path / name}; check the path")):
        load_weights(model(), tmp_path / name)


def test_a_half_written_google_file_names_what_is_missing(tmp_path):
    weights = google_weights()
    del weights["Transformer/encoderblock_1/MultiHeadDotProductAttention_1/key/kernel"]
    np.savez(tmp_path / "w.npz", **weights)
    message = "(missing blocks.1.attn.qkv.weight; unknown blocks.1.attn.query.weight"
    with pytest.raises(ValueError, match=exactly(message)):
        load_weights(model(), tmp_path / "w.npz")


def test_timms_mean_before_the_norm_is_refused_with_its_reason():
    sizes = {"img_size": 32, "patch_size": 8, "num_classes": 5, "embed_dim": 24, "depth": 2, "num_heads": 3}
    theirs = timm.models.VisionTransformer(**sizes, global_pool="avg", class_token=False)
    with pytest.raises(ValueError, match=exactly("this model of timm takes the mean before its last norm (fc_norm)")):
        load_weights(model(pool="mean"), theirs.state_dict())


# ---------------------------------------------------------------------------------------------- layer scale


TIMM = {"img_size": 32, "patch_size": 8, "num_classes": 5, "embed_dim": 24, "depth": 2, "num_heads": 3}


def timm_model(**options):
    return randomize(timm.models.VisionTransformer(**(TIMM | options)).double().eval())


@pytest.mark.parametrize("names", [{}, {r"ls(\d)\.gamma": r"gamma_\1"}], ids=["timm", "BEiT"])
@pytest.mark.parametrize("no_embed_class", [False, True], ids=["dinov2", "deit3"])
def test_layer_scale_is_folded_into_the_linear_layers(names, no_embed_class):
    theirs = timm_model(init_values=0.1, no_embed_class=no_embed_class)
    weights = {key: value.clone() for key, value in theirs.state_dict().items()}
    for pattern, name in names.items():
        weights = {re.sub(pattern, name, key): value for key, value in weights.items()}
    kept = {key: value.clone() for key, value in weights.items()}
    weights["mask_token"] = torch.zeros(1, 24)  # dinov2's own files have one
    ours = load_weights(model(gelu="exact"), weights)
    assert (theirs(images()) - timm_model()(images())).abs().max() > 0.1
    assert_same(ours(images()), theirs(images()))
    assert all(torch.equal(weights[key], value) for key, value in kept.items()), "the source is left alone"


def test_layer_scale_of_other_sizes_is_refused():
    weights = timm_model(init_values=0.1).state_dict()
    weights["blocks.1.ls2.gamma"] = torch.ones(1, 24)
    with pytest.raises(
        ValueError, match=exactly("(unknown blocks.1.ls2.gamma); nothing was loaded: they have layer s")
    ):
        load_weights(model(), weights)


def test_layer_scale_in_half_precision_is_multiplied_in_full():
    theirs = timm_model(init_values=0.1).half()
    ours = load_weights(model(gelu="exact"), theirs.state_dict())
    assert_same(ours(images()), theirs.double()(images()))


# ---------------------------------------------------------------------------------------------- Hugging Face


def hugging_face_names(kind, spelling, i):
    """What a block's parts are called, as timm's name to theirs."""
    block = f"{kind}.encoder.layer.{i}" if spelling == "file" or kind == "dinov2" else f"{kind}.layers.{i}"
    apart = "attention.attention.{}" if spelling == "file" else "attention.{}_proj"
    one = (lambda name: name) if spelling == "file" else (lambda name: name[0])
    names = {f"attn.{name}": apart.format(one(name)) for name in ("query", "key", "value")}
    names["attn.proj"] = "attention.output.dense" if spelling == "file" else "attention.o_proj"
    if kind == "dinov2":
        names |= {name: name for name in ("norm1", "norm2", "mlp.fc1", "mlp.fc2")}
    elif spelling == "file":
        names |= {"norm1": "layernorm_before", "norm2": "layernorm_after"}
        names |= {"mlp.fc1": "intermediate.dense", "mlp.fc2": "output.dense"}
    else:
        names |= {"norm1": "layernorm_before", "norm2": "layernorm_after", "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2"}
    return {f"blocks.{i}.{ours}": f"{block}.{theirs}" for ours, theirs in names.items()}


def hugging_face(weights, kind="vit", spelling="file"):
    """Give timm's weights the names and shapes of Hugging Face's."""
    names = {
        "patch_embed.proj": f"{kind}.embeddings.patch_embeddings.projection",
        "norm": f"{kind}.layernorm",
        "head": "classifier",
        "pre_logits.fc": f"{kind}.pooler.dense",
    }
    for i in range(2):
        names |= hugging_face_names(kind, spelling, i)
    theirs = {}
    for key, value in weights.items():
        name, _, part = key.rpartition(".")
        if "attn.qkv" in name:
            for which, rows in zip(("query", "key", "value"), value.chunk(3), strict=True):
                theirs[f"{names[name.replace('qkv', which)]}.{part}"] = rows
        elif found := re.fullmatch(r"blocks\.(\d)\.ls(\d)", name):
            theirs[f"{kind}.encoder.layer.{found[1]}.layer_scale{found[2]}.lambda1"] = value
        elif key in ("cls_token", "pos_embed", "mask_token"):
            theirs[f"{kind}.embeddings.{key.replace('pos_embed', 'position_embeddings')}"] = value
        else:
            theirs[f"{names[name]}.{part}"] = value
    return theirs


@pytest.mark.parametrize("spelling", ["file", "memory"])
@pytest.mark.parametrize("kind", ["vit", "deit", "dinov2"])
def test_weights_of_hugging_face_load(tmp_path, kind, spelling):
    options = {"init_values": 0.1} if kind == "dinov2" else {}
    theirs = timm_model(**options)
    weights = hugging_face(theirs.state_dict() | {"mask_token": torch.zeros(1, 24)}, kind, spelling)
    assert any("attention.attention.query" in key or "q_proj" in key for key in weights)
    assert_same(load_weights(model(gelu="exact"), weights)(images()), theirs(images()))
    without_its_name = {key.removeprefix(f"{kind}."): value.contiguous() for key, value in weights.items()}
    save_file(without_its_name, tmp_path / "w.safetensors")
    assert_same(load_weights(model(gelu="exact"), tmp_path / "w.safetensors")(images()), theirs(images()))


def test_the_pooler_of_hugging_face_is_the_tanh_head():
    source = model(representation_size=24)
    assert_same(
        load_weights(blank(representation_size=24), hugging_face(source.state_dict()))(images()), source(images())
    )


def test_positions_of_hugging_face_are_stretched_as_theirs_are():
    weights = timm_model().state_dict()
    ours = load_weights(model(image_size=48), hugging_face(weights))
    grid = weights["pos_embed"][:, 1:].unflatten(1, (4, 4)).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, size=(6, 6), mode="bicubic", align_corners=False)
    assert_same(ours.position.pos_embed[:, 1:], grid.permute(0, 2, 3, 1).flatten(1, 2))


# ---------------------------------------------------------------------------------------------- what is not here


UNSUPPORTED = {
    "registers": ({"reg_tokens": 4}, "they have register tokens (reg_token), which the model here cannot do"),
    "a norm before": ({"pre_norm": True}, "they have a norm before the blocks (norm_pre), which the model here"),
    "q and k": ({"qk_norm": True}, "they have a norm of queries and keys (blocks.0.attn.q_norm), which the model"),
    "attention": ({"global_pool": "map", "class_token": False}, "they pool with attention (attn_pool), which the mod"),
    "mean, then norm": ({"global_pool": "avg"}, "this model of timm takes the mean before its last norm (fc_norm), wh"),
    "two of them": (
        {"reg_tokens": 2, "global_pool": "avg"},
        "they have register tokens (reg_token), this model of timm takes the mean before its last norm (fc_norm), whi",
    ),
    "gated": ({"mlp_layer": timm.layers.SwiGLUPacked}, "they have a gated MLP (SwiGLU), whose second layer takes half"),
    "no place": ({"no_embed_class": True}, "16 positions and the model 17; if their class token has no position"),
    "no class token": (
        {"class_token": False, "global_pool": "avg", "fc_norm": False},
        "nothing was loaded: only the model has a class token (pool='cls')",
    ),
    "no positions": ({"pos_embed": "none"}, "nothing was loaded: only the model has learned positions (position='lea"),
    "no head": ({"num_classes": 0}, "the weights have no head; keep the model's own head with skip_head=True"),
}


@pytest.mark.parametrize(("options", "message"), UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_what_other_models_do_and_ours_cannot_is_named(options, message):
    with pytest.raises(
        ValueError, match="nothing was loaded: .*" + exactly(message.removeprefix("nothing was loaded: "))
    ):
        load_weights(model(), timm_model(**options).state_dict())


NAMED = {
    "decoder_embed.weight": "they have a decoder, as masked autoencoders have (decoder)",
    "blocks.0.attn.relative_position_bias_table": "they have relative positions (blocks.0.attn.relative_position)",
    "blocks.0.attn.q_bias": "they have biases for queries and values alone (blocks.0.attn.q_bias)",
    "rope.freqs": "they turn queries and keys by their positions (RoPE) (rope.freqs)",
    "vision_model.post_layernorm.weight": "they are of a model of pictures and texts, such as CLIP or SigLIP (vision_",
    "head_dist.weight": "they have one token more, for distillation, as a distilled DeiT has (head_dist)",
    "blocks.1.mlp.w12.weight": "they have a gated MLP (SwiGLU) (blocks.1.mlp.w12)",
}


@pytest.mark.parametrize(("name", "message"), NAMED.items())
def test_parts_of_others_are_known_by_their_names(name, message):
    weights = model().state_dict() | {name: torch.zeros(3)}
    with pytest.raises(ValueError, match=exactly(message) + ".*, which the model here cannot do"):
        load_weights(model(), weights)


def test_hugging_faces_parts_that_are_not_here_are_named():
    weights = hugging_face(timm_model().state_dict(), "deit")
    weights["deit.embeddings.distillation_token"] = torch.zeros(1, 1, 24)
    with pytest.raises(
        ValueError, match=exactly("they have one token more, for distillation, as a distilled DeiT has (dist_token)")
    ):
        load_weights(model(), weights)
    weights = hugging_face(timm_model(init_values=0.1).state_dict(), "dinov2")
    weights["classifier.weight"] = torch.zeros(5, 48)
    with pytest.raises(ValueError, match=exactly("side by side, 48 numbers; keep the model's own head with skip_head")):
        load_weights(model(), weights)
    load_weights(model(), weights, skip_head=True)
    weights["dinov2.embeddings.register_tokens"] = torch.zeros(1, 4, 24)
    with pytest.raises(ValueError, match=exactly("they have register tokens (reg_token)")):
        load_weights(model(), weights)


def test_what_stands_before_all_names_is_named():
    weights = {f"student.backbone.{key}": value for key, value in model().state_dict().items()}
    scaled = weights | {f"student.backbone.blocks.{i}.ls{k}.gamma": torch.ones(24) for i in (0, 1) for k in (1, 2)}
    for given in (weights, scaled):
        with pytest.raises(ValueError, match=exactly("their names begin with 'student.backbone.'; take it off")):
            load_weights(model(), given)
    load_weights(model(), {key.removeprefix("student.backbone."): value for key, value in scaled.items()})


# ---------------------------------------------------------------------------------------------- claims of files


def array_file(path, name, shape, numbers):
    """An .npz whose array claims another shape than it has numbers for."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(f"{name}.npy", header.getvalue() + bytes(4 * numbers))


def test_an_npz_cannot_claim_what_it_has_not(tmp_path):
    array_file(tmp_path / "w.npz", "cls", (10**6, 10**6), 3)
    with pytest.raises(ValueError, match=r"is not a whole \.npz file of numbers; copy it again"):
        load_weights(model(), tmp_path / "w.npz")


def test_an_npz_that_unfolds_to_many_times_its_size_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_MOST_BYTES", 10**6)  # instead of 256 MB
    np.savez_compressed(tmp_path / "w.npz", cls=np.zeros(10**6, np.float32))
    with pytest.raises(ValueError, match=r"would unfold its \d+ bytes to 4000128; nothing was read: save weights with"):
        load_weights(model(), tmp_path / "w.npz")


def test_a_tensor_cannot_claim_what_it_has_not(tmp_path):
    weights = model().state_dict() | {"cls_token": torch.zeros(1).expand(10**6, 10**6)}
    torch.save(weights, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=exactly("fewer numbers for cls_token than its shape [1000000, 1000000] says")):
        load_weights(model(), tmp_path / "w.pth")


def test_a_compressed_file_of_torch_is_none(tmp_path):
    torch.save(model().state_dict(), tmp_path / "w.pth")
    with zipfile.ZipFile(tmp_path / "w.pth") as whole, zipfile.ZipFile(tmp_path / "c.pth", "w", 8) as packed:
        for name in whole.namelist():
            packed.writestr(name, whole.read(name))
    with pytest.raises(ValueError, match=r"is not a whole file of torch\.save"):
        load_weights(model(), tmp_path / "c.pth")
