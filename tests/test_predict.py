"""What a model says of own pictures: prepared as its card says, in every form, and from the command line."""

import dataclasses
import io
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torchvision.transforms import v2

from vit_tutorial import ModelCard, ViT, ViTConfig, attention_maps, load_model, predict, save_model, training
from vit_tutorial.datasets import load
from vit_tutorial.predict import Prediction, draw_prediction, looks_at
from vit_tutorial.support.paths import DATA_FOLDER

CLOTHES = DATA_FOLDER / "vit_fashion_mnist.safetensors"
CARD = ModelCard(("cat", "dog", "owl"), (0.5, 0.4, 0.3), (0.2, 0.25, 0.3))


def make_model(card=CARD, **options):
    torch.manual_seed(0)
    shape = {"image_size": 8, "patch_size": 4, "num_classes": 3, "dim": 16, "depth": 2, "num_heads": 2}
    model = ViT(ViTConfig(**(shape | options))).eval()
    torch.nn.init.normal_(model.head.weight)
    model.card = card
    return model


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def run(*arguments):
    """Run the command line, and give what it ends with: None for success."""
    try:
        predict.main([str(argument) for argument in arguments])
    except SystemExit as ended:
        return ended.code


# --- In Python -------------------------------------------------------------------------------------------------------


def test_our_own_model_says_of_its_own_pictures_what_it_always_says(tmp_path):
    model, data = load_model(CLOTHES), load("fashion_mnist")
    expected = training.predict(model, data.test_images[:20]).softmax(dim=1)
    for image, shares in zip(data.test_images[:20], expected, strict=True):
        path = tmp_path / "a.png"
        Image.fromarray(image[0].numpy()).save(path)
        for picture in (image, image[0].numpy(), Image.open(path), path, image / 255):
            said = predict.predict(model, picture)
            assert said.class_names[0] == data.class_names[shares.argmax()]
            assert said.probabilities[0] == pytest.approx(shares.max().item(), abs=1e-6)
            assert torch.equal(said.pixels, image)


def test_the_classes_are_in_order_and_their_probabilities_add_up():
    said = predict.predict(make_model(), noise(8, 8, 3))
    assert list(said.probabilities) == sorted(said.probabilities, reverse=True)
    assert sum(said.probabilities) == pytest.approx(1, abs=1e-6)
    assert sorted(said.class_names) == ["cat", "dog", "owl"]
    assert said.best() == [(said.class_names[0], said.probabilities[0])]
    assert len(said.best(10)) == 3
    name, share = said.best()[0]
    assert repr(said).startswith(f"Prediction {name} {share:.1%}, ")


@pytest.mark.parametrize("crop", [1.0, 0.5])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_the_card_says_how_the_picture_is_prepared(crop, interpolation):
    model = make_model(dataclasses.replace(CARD, crop=crop, interpolation=interpolation))
    image = Image.fromarray(noise(50, 37, 3))
    prepare = v2.Compose(
        [
            v2.Resize(int(8 / crop), v2.InterpolationMode(interpolation)),
            v2.CenterCrop(8),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(CARD.mean, CARD.std),
        ]
    )
    with torch.no_grad():
        expected = model(prepare(image)[None])[0].softmax(dim=0)
    said = dict(predict.predict(model, image).best(3))
    assert [said[name] for name in CARD.class_names] == pytest.approx(expected.tolist(), abs=1e-6)


def test_grey_and_colour_go_into_either_model():
    grey = make_model(ModelCard(CARD.class_names, (0.5,), (0.2,)), in_channels=1)
    colour = make_model()
    picture = noise(8, 8)
    assert torch.equal(predict.predict(colour, picture).pixels, torch.from_numpy(picture).expand(3, -1, -1))
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 200
    assert predict.predict(grey, red).pixels.unique().tolist() == [60]  # 0.299 of 200


def test_a_model_of_another_shape_gets_its_own():
    assert predict.predict(make_model(image_size=(4, 12)), noise(30, 30, 3)).pixels.shape == (3, 4, 12)


def test_a_model_in_training_stays_in_training_and_answers_as_in_eval():
    model = make_model(dropout=0.5)
    before = predict.predict(model, noise(8, 8, 3)).probabilities
    model.train()
    assert predict.predict(model, noise(8, 8, 3)).probabilities == before
    assert model.training


def test_classes_without_names_have_numbers():
    said = predict.predict(make_model(ModelCard(mean=CARD.mean, std=CARD.std)), noise(8, 8, 3))
    assert sorted(said.class_names) == ["class 0", "class 1", "class 2"]


def test_what_cannot_be_answered_is_refused_in_a_sentence():
    picture = noise(8, 8, 3)
    for card in (None, ModelCard()):
        with pytest.raises(ValueError, match="the model has no card, so it is not known how its input is prepared"):
            predict.predict(make_model(card), picture)
    with pytest.raises(ValueError, match="the model takes 4 channels; predict can bring a picture to 1"):
        predict.predict(make_model(in_channels=4), picture)
    with pytest.raises(ValueError, match=r"shape \[2, 8, 8, 3\] is not that of one picture"):
        predict.predict(make_model(), np.stack([picture, picture]))
    with pytest.raises(TypeError, match="and this is a list"):
        predict.predict(make_model(), [picture])


# --- The card in a file ----------------------------------------------------------------------------------------------


def test_a_file_keeps_how_pictures_are_prepared(tmp_path):
    card = dataclasses.replace(CARD, crop=0.875, interpolation="bicubic")
    assert load_model(save_model(make_model(card), tmp_path / "a.safetensors")).card == card


def test_an_older_file_does_not_say_it(tmp_path):
    path = save_model(make_model(), tmp_path / "a.safetensors")
    with safe_open(path, "pt") as file:
        said = file.metadata()
    said.pop("sha256", None)
    old = {name: value for name, value in json.loads(said["card"]).items() if name not in ("crop", "interpolation")}
    save_file(load_file(path), path, said | {"card": json.dumps(old)})
    assert load_model(path).card == CARD


# --- Where the model looks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_where_a_model_looks(pool):
    model = make_model(pool=pool, image_size=(8, 12), depth=3)
    pixels = predict.predict(model, noise(8, 12, 3)).pixels
    last, through = looks_at(model, pixels).values()
    (table,) = attention_maps(model, model.card.normalize(pixels[None]))[-1].mean(dim=1)
    expected = table[0, 1:] if pool == "cls" else table.mean(dim=0)
    torch.testing.assert_close(last, expected.view(2, 3))
    assert through.shape == (2, 3)
    assert 0 < through.sum() <= 1 + 1e-5


def test_the_drawing_shows_the_answer():
    model = make_model()
    said = predict.predict(model, noise(30, 20, 3))
    drawing = draw_prediction(model, said)
    name, share = said.best()[0]
    assert drawing.alt.startswith(f"Left the picture as the model saw it, with its answer {name}, {share:.1%};")
    pixels = np.asarray(Image.open(io.BytesIO(drawing.png)).convert("RGB"))
    assert pixels.shape == (330, 900, 3)
    thirds = [pixels[80:280, 300 * i + 60 : 300 * i + 240] for i in range(3)]
    assert not np.array_equal(thirds[0], thirds[1])
    assert not np.array_equal(thirds[1], thirds[2])


def test_the_picture_alone_stands_on_the_left_of_a_drawing():
    blue = np.full((8, 8, 3), (0, 0, 255), dtype=np.uint8)
    model = make_model()
    drawing = draw_prediction(model, predict.predict(model, blue))
    pixels = np.asarray(Image.open(io.BytesIO(drawing.png)).convert("RGB"))
    pure = [(pixels[150:220, 300 * i + 120 : 300 * i + 180] == (0, 0, 255)).all() for i in range(3)]
    assert pure == [True, False, False]


# --- The command line ------------------------------------------------------------------------------------------------


@pytest.fixture
def boot(tmp_path):
    data = load("fashion_mnist")
    i = data.test_labels.tolist().index(data.class_names.index("Ankle boot"))
    path = tmp_path / "boot.png"
    Image.fromarray(data.test_images[i, 0].numpy()).save(path)
    return path


def test_a_table_of_the_likeliest_classes(boot, tmp_path, capsys):
    other = tmp_path / "the same.png"
    shutil.copy(boot, other)
    assert run(boot, other, "--model", CLOTHES, "--top", 2) is None
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["picture", "class", "probability"]
    assert len(rows) == 4
    assert len({len(line) for line in (head, *rows)}) == 1
    assert rows[0].startswith(f"{boot} ")
    assert "Ankle boot" in rows[0]
    assert rows[1].startswith(" ")
    assert rows[2].startswith(f"{other}  Ankle boot")
    share = predict.predict(load_model(CLOTHES), boot).probabilities[0]
    assert rows[0].endswith(f" {share:.1%}")


def test_a_name_that_the_output_cannot_write_is_written_otherwise(boot, monkeypatch):
    boot = boot.rename(boot.with_name("bötchen.png"))
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    assert run(boot, "--model", CLOTHES) is None
    out.flush()
    assert b"b\\xf6tchen.png  Ankle boot" in out.buffer.getvalue()


def test_drawings_have_the_names_of_their_pictures(boot, tmp_path, capsys):
    (tmp_path / "other").mkdir()
    shutil.copy(boot, tmp_path / "other" / "boot.png")
    drawings = tmp_path / "new" / "drawings"
    assert run(boot, tmp_path / "other" / "boot.png", "--model", CLOTHES, "--attention", drawings) is None
    assert sorted(path.name for path in drawings.iterdir()) == ["boot_2_attention.png", "boot_attention.png"]
    assert Image.open(drawings / "boot_attention.png").size == (900, 330)
    assert capsys.readouterr().out.splitlines()[-1] == f"2 drawings in {drawings}"


def test_names_that_differ_in_capital_letters_alone_are_one_on_many_disks():
    names = predict.drawing_names([Path("Cat.jpg"), Path("cat.png"), Path("cat_2.png"), Path("dog.png")])
    assert list(names.values()) == [f"{name}_attention.png" for name in ("Cat", "cat_2", "cat_2_2", "dog")]


def test_the_drawing_of_a_picture_with_a_long_name_has_a_name_that_a_disk_takes():
    names = predict.drawing_names([Path("ü" * 120 + end) for end in (".jpg", "x.jpg")] + [Path("b" * 200 + ".png")])
    assert list(names.values()) == [f"{stem}_attention.png" for stem in ("ü" * 100, "ü" * 100 + "_2", "b" * 200)]


def test_drawings_may_go_home(boot, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    assert run(boot, "--model", CLOTHES, "--attention", Path("~", "drawings")) is None
    assert (tmp_path / "home" / "drawings" / "boot_attention.png").exists()


def test_drawings_leave_the_pictures_of_their_folder_as_they_are(boot, tmp_path):
    before = boot.read_bytes()
    assert run(boot, "--model", CLOTHES, "--attention", tmp_path) is None
    assert boot.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["boot.png", "boot_attention.png"]


@pytest.mark.parametrize("broken", [False, True])
def test_a_drawing_in_the_place_of_a_picture_is_refused_before_any_is_written(boot, tmp_path, broken, capsys):
    other = tmp_path / "boot_attention.png"
    other.write_bytes(boot.read_bytes()[: 60 if broken else None])
    before = other.read_bytes()
    (tmp_path / "other").mkdir()
    code = run(other, boot, "--model", CLOTHES, "--attention", tmp_path / "other" / "..")
    assert code.startswith(f"error: the drawing of {boot} would be written over {tmp_path}")
    assert code.endswith("which is one of the pictures; nothing was written: name another folder with --attention")
    assert capsys.readouterr().out == ""
    assert other.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["boot.png", "boot_attention.png", "other"]


def test_a_broken_picture_does_not_stop_the_others(boot, tmp_path, capsys):
    (tmp_path / "broken.png").write_bytes(boot.read_bytes()[:60])
    assert run(tmp_path / "broken.png", tmp_path / "nothing.png", boot, "--model", CLOTHES) == 1
    printed = capsys.readouterr()
    first, second = printed.err.splitlines()
    assert first.startswith(f"error: {tmp_path / 'broken.png'} cannot be read (")
    assert second == f"error: there is no file {tmp_path / 'nothing.png'}"
    assert len(printed.out.splitlines()) == 1 + predict.SHOWN
    unheard_of = tmp_path / ("n" * 300)  # to ask whether it exists is an error
    assert run(unheard_of, "~nobody.here/a.png", boot, "--model", CLOTHES, "--attention", tmp_path / "looks") == 1
    assert (tmp_path / "looks" / "boot_attention.png").exists()
    code = run(boot, "--model", CLOTHES, "--attention", boot)
    assert code == f"error: {boot} cannot be read or written (File exists); name another place, or allow it there"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--model", CLOTHES], "error: no picture is named"),
        (["a.png", "--model", CLOTHES, "--top", 0], "error: --top is 0; it must be 1 or more"),
        (["a.png", "--model", "nothing.safetensors"], "error: "),
    ],
)
def test_what_cannot_be_done_ends_with_a_sentence(arguments, sentence):
    code = run(*arguments)
    assert code.startswith(sentence)
    assert "\n" not in code


def test_a_model_without_a_card_is_one_sentence(tmp_path, boot, capsys):
    path = save_model(make_model(ModelCard()), tmp_path / "a.safetensors")
    assert run(boot, "--model", path) == 1
    assert capsys.readouterr().err.startswith("error: the model has no card")


def test_a_name_means_published_weights(boot, monkeypatch, capsys):
    monkeypatch.setattr(ViT, "from_pretrained", lambda name: {"ViT-B/16": make_model()}[name])
    assert run(boot, "--model", "ViT-B/16", "--top", 1) is None
    assert capsys.readouterr().out.splitlines()[1].split()[1] in CARD.class_names


def test_help_says_what_to_write(capsys):
    assert run("--help") == 0
    words = " ".join(capsys.readouterr().out.split())
    for one in ("FILE ... the pictures", "--model FILE|NAME", "--top INT", "--attention FOLDER"):
        assert one in words.replace("│ ", "")


def test_a_prediction_is_small():
    fields = [field.name for field in dataclasses.fields(Prediction)]
    assert fields == ["class_names", "probabilities", "pixels"]
