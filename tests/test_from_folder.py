"""Own pictures from a folder: what torchvision's ImageFolder would find, upright, in one size; and what is refused."""

import json
import os
import re
import shlex
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from vit_tutorial import load_model, train
from vit_tutorial.datasets import DataError, Dataset, DataWarning
from vit_tutorial.predict import predict
from vit_tutorial.recipes import RECIPES
from vit_tutorial.training import record

COLOURS = {"red": (220, 30, 20), "green": (20, 200, 40), "blue": (30, 40, 210)}


def noisy(colour, seed, height=20, width=30):
    noise = np.random.default_rng(seed).integers(-20, 20, (height, width, 3))
    return Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8))


def fill(folder, count=5, first=0, classes=COLOURS):
    for name, colour in classes.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(first, first + count):
            noisy(colour, i).save(folder / name / f"{i}.png")
    return folder


@pytest.fixture
def folder(tmp_path):
    return fill(tmp_path / "paints")


def read(folder, *args, **options):
    """Read a folder that gives no reason for a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return Dataset.from_folder(folder, *args, **options)


def refusal(folder, image_size=8, **options):
    with pytest.raises(DataError) as caught:
        Dataset.from_folder(folder, image_size, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def save(image, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def everything(data):
    """All images of a data set by their bytes, with their labels."""
    images, labels = torch.cat([data.train_images, data.test_images]), torch.cat([data.train_labels, data.test_labels])
    return sorted((image.numpy().tobytes(), label) for image, label in zip(images, labels.tolist(), strict=True))


# --- What is read ----------------------------------------------------------------------------------------------------


def test_a_folder_of_classes_is_split(folder):
    data = read(folder, 8)
    assert repr(data) == "Dataset paints: 12 training and 3 test images of 3x8x8, 3 classes"
    assert data.class_names == ("blue", "green", "red")
    assert data.test_labels.tolist() == [0, 1, 2]
    assert data.train_labels.bincount().tolist() == [4, 4, 4]
    for label, strongest in enumerate((2, 1, 0)):
        assert (data.train_images[data.train_labels == label].float().mean(dim=(0, 2, 3)).argmax()) == strongest
    x = data.normalize(data.train_images)
    torch.testing.assert_close(x.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)


def test_the_split_follows_its_seed(folder):
    one, same, other = (read(folder, 8, seed=seed, test_fraction=0.4) for seed in (0, 0, 1))
    assert torch.equal(one.train_images, same.train_images)
    assert not torch.equal(one.train_images, other.train_images)
    assert everything(one) == everything(same) == everything(other)
    assert one.test_labels.bincount().tolist() == [2, 2, 2]
    most = read(folder, 8, test_fraction=0.99)
    assert most.train_labels.bincount().tolist() == [1, 1, 1]


@pytest.mark.parametrize("size", [(8, 8), (12, 20), (40, 16)])
def test_pictures_are_those_of_torchvision(tmp_path, size):
    folder = fill(fill(tmp_path / "train", 3).parent / "test", 2, first=7).parent
    save(noisy((9, 9, 9), 1, 31, 17), folder / "train" / "red" / "more" / "tall.JPG")
    save(noisy((9, 9, 9), 1, 17, 99), folder / "train" / "red" / "b.webp")
    data = read(folder, size)
    assert (data.image_size, data.in_channels) == (size[0] if size == (8, 8) else size, 3)
    for part, images, labels in (
        ("train", data.train_images, data.train_labels),
        ("test", data.test_images, data.test_labels),
    ):
        theirs = ImageFolder(folder / part)
        assert (tuple(theirs.classes), sorted(theirs.targets)) == (data.class_names, labels.tolist())
        in_order = sorted(theirs.samples, key=lambda sample: os.path.relpath(sample[0], folder / part))
        for ours, (path, _) in zip(images, in_order, strict=True):
            image = theirs.loader(path)
            width, height = image.size
            covers = size[0] * width >= size[1] * height
            whole = (size[0], size[0] * width // height) if covers else (size[1] * height // width, size[1])
            expected = v2.functional.pil_to_tensor(v2.CenterCrop(size)(v2.Resize(whole)(image)))
            assert torch.equal(ours, expected)


def test_a_size_may_be_of_numpy_and_pytorch(folder):
    assert read(folder, np.int64(16)).image_size == read(folder, (16, torch.tensor(16))).image_size == 16


def test_grey_pictures_have_one_channel_unless_others_have_three(tmp_path):
    for name in ("light", "dark"):
        for i in range(2):
            grey = Image.new("L", (9, 9), 200 if name == "light" else 40)
            save(grey, tmp_path / name / f"{i}.png")
    data = read(tmp_path, 8)
    assert (data.in_channels, len(data.mean)) == (1, 1)
    assert data.train_images.flatten(1).float().mean(dim=1).tolist() == [40, 200]
    assert read(tmp_path, 8, channels=3).train_images[1].unique().tolist() == [200]
    save(Image.new("RGB", (9, 9), (200, 0, 0)), tmp_path / "light" / "colour.png")
    data = read(tmp_path, 8)
    assert data.in_channels == 3
    assert read(tmp_path, 8, channels=1).in_channels == 1


def two_halves(mode="RGB"):
    """Left black, right white."""
    image = Image.new("RGB", (16, 8))
    image.paste((255, 255, 255), (8, 0, 16, 8))
    return image.convert(mode)


def clear_left():
    image = two_halves("RGBA")
    image.putalpha(Image.fromarray(np.array([[0] * 8 + [255] * 8] * 8, dtype=np.uint8)))
    return image


def clear_entry():
    image = two_halves("P")
    image.info["transparency"] = image.getpixel((0, 0))
    return image


RIGHT_IS_WHITE = [[0, 255]]
CASES = {
    "L.png": (two_halves("L"), {}, RIGHT_IS_WHITE),
    "1.png": (two_halves("1"), {}, RIGHT_IS_WHITE),
    "P.png": (two_halves("P"), {}, RIGHT_IS_WHITE),
    "CMYK.tiff": (two_halves("CMYK"), {}, RIGHT_IS_WHITE),
    "I16.png": (Image.fromarray(np.array(two_halves("L"), dtype=np.uint16) * 128), {}, [[0, 127]]),
    "RGBA.png": (clear_left(), {}, [[255, 255]]),
    "LA.png": (clear_left().convert("LA"), {}, [[255, 255]]),
    "transparent.png": (clear_entry(), {}, [[255, 255]]),
}
for orientation, seen in {2: [[255, 0]], 3: [[255, 0]], 6: [[0], [255]], 8: [[255], [0]]}.items():
    exif = Image.Exif()
    exif[0x0112] = orientation
    CASES[f"turned_{orientation}.jpg"] = (two_halves(), {"exif": exif, "quality": 100}, seen)


@pytest.mark.parametrize("name", CASES)
def test_each_kind_of_picture_is_read_as_it_is_seen(tmp_path, name):
    image, options, seen = CASES[name]
    for folder in ("a", "b"):
        save(image, tmp_path / folder / name, **options)
        save(image, tmp_path / folder / f"again_{name}", **options)
    rows, columns = len(seen), len(seen[0])
    data = read(tmp_path, (8 * rows, 8 * columns), channels=1)
    corners = data.train_images[0, 0, 2::8, 2::8]
    torch.testing.assert_close(corners, torch.tensor(seen, dtype=torch.uint8), atol=2, rtol=0)


def test_the_order_and_the_folders_below_do_not_depend_on_the_disk(folder, monkeypatch):
    before = read(folder, 8)
    iterdir = type(folder).iterdir
    monkeypatch.setattr(type(folder), "iterdir", lambda self: list(iterdir(self))[::-1])
    after = read(folder, 8)
    assert torch.equal(before.train_images, after.train_images)
    assert before.class_names == after.class_names


def test_hidden_files_and_folders_are_no_pictures_and_no_classes(folder):
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / "red" / ".DS_Store").write_bytes(b"x")
    (folder / "red" / "._1.png").write_bytes(b"x")
    save(noisy(COLOURS["red"], 1), folder / "red" / ".ipynb_checkpoints" / "1-checkpoint.png")
    data = read(folder, 8)
    assert (data.num_classes, len(everything(data))) == (3, 15)


@pytest.mark.skipif(os.name == "nt", reason="links need special rights there")
def test_a_link_to_a_folder_is_followed(folder, tmp_path):
    (folder / "red" / "more").symlink_to(fill(tmp_path / "elsewhere", 2) / "red")
    (folder / "white").symlink_to(tmp_path / "elsewhere" / "blue")
    data = read(folder, 8)
    assert (data.train_labels.bincount() + data.test_labels.bincount()).tolist() == [5, 5, 7, 2]


@pytest.mark.skipif(os.name == "nt", reason="links need special rights there")
@pytest.mark.parametrize("to", ["red", ".", "../elsewhere"])
def test_a_link_that_leads_back_is_not_followed(folder, tmp_path, to):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "back").symlink_to(folder / "red")
    (folder / "red" / "below").mkdir()
    (folder / "red" / "below" / "again").symlink_to(folder / to)
    data = read(folder, 8)
    assert data.class_names == ("blue", "green", "red")
    assert len(everything(data)) == 15


@pytest.mark.skipif(os.name == "nt", reason="links need special rights there")
def test_only_regular_files_are_read(folder):
    """A pipe would be waited for without end; a link to a device shows the same, and ends."""
    (folder / "red" / "device.png").symlink_to(os.devnull)
    (folder / "red" / "gone.png").symlink_to(folder / "nowhere")
    with pytest.warns(DataWarning) as caught:
        assert len(everything(Dataset.from_folder(folder, 8))) == 15
    said = f"2 damaged: {os.path.join('red', 'device.png')} is no regular file, there is no file"
    assert said in str(caught[0].message)


@pytest.mark.parametrize("parts", ["Train Test", "training testing", "TRAINING test"])
def test_parts_may_be_called_in_other_letters_and_words(tmp_path, parts):
    for count, part in enumerate(parts.split(), 2):
        fill(tmp_path / part, count)
    data = read(tmp_path, 8)
    assert (data.class_names, len(data.train_images), len(data.test_images)) == (("blue", "green", "red"), 6, 9)


def test_of_two_folders_for_one_part_the_one_that_is_not_used_is_named(tmp_path):
    for part in ("train", "test", "Training"):
        fill(tmp_path / part, 2)
    with pytest.warns(DataWarning, match="train and test are used, and not Training;"):
        assert len(Dataset.from_folder(tmp_path, 8).train_images) == 6


def test_a_class_may_keep_its_pictures_one_folder_below(tmp_path):
    """As those of Tiny ImageNet do."""
    for name, colour in COLOURS.items():
        fill(tmp_path / name, classes={"images": colour})
    assert read(tmp_path, 8).class_names == ("blue", "green", "red")


def test_a_class_may_be_called_train(tmp_path):
    fill(tmp_path, 3, classes={"train": (1, 2, 3), "tram": (200, 9, 9)})
    assert read(tmp_path, 8).class_names == ("train", "tram")


def test_a_part_that_is_not_used_is_named(tmp_path):
    for part in ("train", "test", "val"):
        fill(tmp_path / part, 2)
    with pytest.warns(DataWarning, match="train and test are used, and not val;"):
        assert len(Dataset.from_folder(tmp_path, 8).train_images) == 6


# --- What is left out ------------------------------------------------------------------------------------------------


def test_files_that_cannot_be_read_are_named_and_left_out(folder):
    whole = (folder / "red" / "0.png").read_bytes()
    (folder / "red" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "red" / "empty.jpg").touch()
    (folder / "blue" / "page.jpeg").write_text("<html>Not found</html>")
    (folder / "blue" / "real.tiff").touch()
    Image.fromarray(np.ones((4, 4), dtype=np.float32)).save(folder / "blue" / "real.tiff")
    (folder / "green" / "phone.HEIC").write_bytes(b"x")
    (folder / "green" / "notes.txt").write_text("green")
    with pytest.warns(DataWarning) as caught:
        data = Dataset.from_folder(folder, 8)
    assert len(data.train_images) + len(data.test_images) == 15
    (said,) = [str(warning.message) for warning in caught]
    assert "\n" not in said
    assert said.startswith(f"files in {folder} are left out, 4 damaged: ")
    assert os.path.join("red", "cut.png") + " cannot be read (" in said
    for name in ("empty.jpg", "page.jpeg"):
        assert f"{name} is no picture that Pillow can read" in said
    assert "real.tiff holds real numbers of an unknown range" in said
    assert said.endswith("2 that do not end like a picture: 1 with .heic, 1 with .txt")
    assert caught[0].filename == __file__


def test_of_many_broken_files_the_first_are_named(folder):
    for i in range(25):
        (folder / "red" / f"broken_{i:02}.png").touch()
    with pytest.warns(DataWarning, match=r"25 damaged: .*broken_09.png .*, and 15 more$") as caught:
        Dataset.from_folder(folder, 8)
    assert "broken_10" not in str(caught[0].message)


# --- What is refused -------------------------------------------------------------------------------------------------


def test_no_folder(tmp_path):
    assert refusal(tmp_path / "nowhere").startswith(f"there is no folder {tmp_path / 'nowhere'}; name one")
    (tmp_path / "file").touch()
    assert refusal(tmp_path / "file").startswith("there is no folder")


def test_one_class_or_none(tmp_path):
    assert refusal(tmp_path).startswith(f"{tmp_path} holds no folder; put the pictures of each class, two or more")
    fill(tmp_path, classes={"only": (1, 2, 3)})
    assert refusal(tmp_path).startswith(f"{tmp_path} holds only one class, only; put")


def test_classes_of_train_and_test_that_differ(tmp_path):
    fill(tmp_path / "train")
    fill(tmp_path / "test", classes={"red": (1, 2, 3), "pink": (1, 2, 3)})
    assert "differ: blue, green only in train; pink only in test; give both" in refusal(tmp_path)


def test_a_part_without_the_other(tmp_path):
    fill(tmp_path / "train")
    fill(tmp_path / "val")
    assert refusal(tmp_path).startswith(f"{tmp_path} has train and val, but no test; name its parts train and test")


def test_parts_under_names_that_nobody_knows(tmp_path):
    for part in ("dev", "eval"):
        fill(tmp_path / part)
    said = refusal(tmp_path)
    assert said.startswith(
        f"dev, eval in {tmp_path} hold no pictures themselves, and each the folders blue, green, red"
    )
    assert said.endswith("name two of them train and test, or lay the pictures of each class into its folder")


def test_in_train_and_test_what_looks_like_parts_are_classes(tmp_path):
    for part in ("train", "test"):
        for name in ("dev", "eval"):
            fill(tmp_path / part / name)
    assert Dataset.from_folder(tmp_path, 4).class_names == ("dev", "eval")


def test_of_two_names_of_a_part_the_plain_one_is_taken(tmp_path):
    for number, part in enumerate(("Train", "train", "training", "test")):
        fill(tmp_path / part, count=number + 1)
    with pytest.warns(DataWarning, match="train and test are used, and not Train, training"):
        assert len(Dataset.from_folder(tmp_path, 4).train_labels) == 3 * 2  # three classes, two pictures each


def test_an_empty_class(folder):
    (folder / "white").mkdir()
    (folder / "white" / "phone.heic").touch()
    assert "needs 1 picture or more, ending in .jpg, .jpeg, .png" in refusal(folder)
    assert "and white has 0; add some, or delete the folder" in refusal(folder)


def test_a_class_with_too_little_to_split_or_with_broken_files_alone(folder):
    for path in sorted((folder / "red").iterdir())[1:]:
        path.write_bytes(b"no picture")
    said = refusal(folder)
    assert "needs 2 pictures or more, one to train with and one to test with" in said
    assert "red has 1, without those that cannot be read (" in said


def test_a_class_without_pictures_in_test_is_not_laid_to_a_broken_file_of_train(tmp_path):
    fill(tmp_path / "train")
    fill(tmp_path / "test", count=1)
    (tmp_path / "train" / "blue" / "broken.png").touch()
    (tmp_path / "test" / "red" / "0.png").write_bytes(b"no picture")
    said = refusal(tmp_path)
    assert f"each class in {tmp_path / 'test'} needs 1 picture or more" in said
    assert os.path.join("red", "0.png") in said
    assert "broken.png" not in said


def test_a_folder_that_may_not_be_read(folder, monkeypatch):
    iterdir = type(folder).iterdir

    def refuse_blue(place):
        if place.name == "blue":
            raise PermissionError(13, "Permission denied", str(place))
        return iterdir(place)

    monkeypatch.setattr(type(folder), "iterdir", refuse_blue)
    assert refusal(folder) == f"{folder / 'blue'} cannot be read (Permission denied); allow reading it"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"image_size": 0}, "image_size is 0; it must be"),
        ({"image_size": (8, 8, 8)}, "image_size is (8, 8, 8)"),
        ({"image_size": (8, 0)}, "image_size is (8, 0)"),
        ({"image_size": 8.0}, "image_size is 8.0"),
        ({"image_size": True}, "image_size is True"),
        ({"channels": 4}, "channels is 4; it must be 1 for grey, 3 for colour, or None"),
        ({"test_fraction": 0.0}, "test_fraction is 0.0; it must be above 0 and below 1"),
        ({"test_fraction": 1.0}, "test_fraction is 1.0"),
    ],
)
def test_a_number_out_of_range(folder, options, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        Dataset.from_folder(folder, **({"image_size": 8} | options))


# --- On the command line ---------------------------------------------------------------------------------------------

SMALL = "--patch-size 4 --dim 16 --depth 1 --num-heads 2 --batch-size 8 --device cpu --learning-rate 0.01 --quiet"


@pytest.fixture(autouse=True)
def one_rate(monkeypatch):
    monkeypatch.setattr(record, "matrix_rate", lambda device, precision: 2e9)


def command(data, out, *options):
    train.main([*shlex.split(SMALL), "--data", str(data), "--out", str(out), *options])


def test_from_a_folder_to_the_right_class_of_a_new_picture(folder, tmp_path, capsys):
    out = tmp_path / "run"
    (folder / "red" / "broken.png").touch()
    command(folder, out, "--picture-size", "16", "--epochs", "12", "--record", "own", "--records", str(tmp_path))
    printed = capsys.readouterr()
    assert "Dataset paints: 12 training and 3 test images of 3x16x16, 3 classes" in printed.out
    assert printed.err.startswith(f"warning: files in {folder} are left out, 1 damaged: ")
    model = load_model(out / "model.safetensors")
    shape = model.config.image_size, model.config.in_channels, model.config.num_classes
    assert (shape, model.card.class_names) == ((16, 3, 3), ("blue", "green", "red"))
    for name, colour in COLOURS.items():
        path = save(noisy(colour, 99, 50, 40), tmp_path / f"new_{name}.jpg")
        assert predict(model, path).class_names[0] == name
    written = json.loads((tmp_path / "own.json").read_text())
    assert written["data"].items() >= {"name": "paints", "training": 12, "validation": 0}.items()
    assert len(written["data"]["normalized_with"]["mean"]) == 3
    assert f"--data {folder}" in written["command"]


def test_a_run_does_not_go_on_with_another_folder(folder, tmp_path):
    out = tmp_path / "run"
    command(folder, out, "--epochs", "1")
    before = (out / "checkpoint.bin").read_bytes()
    other = fill(tmp_path / "elsewhere" / "paints", first=50)
    with pytest.raises(SystemExit, match=r"belongs to another run: in its data, crc32 was \d+ and is \d+, norm"):
        command(other, out, "--epochs", "1")
    assert (out / "checkpoint.bin").read_bytes() == before
    command(folder, out, "--epochs", "1")


def test_the_pictures_are_as_large_as_those_of_the_recipe(folder, tmp_path, capsys):
    command(folder, tmp_path / "a", "--epochs", "1")
    assert "images of 3x28x28" in capsys.readouterr().out
    command(folder, tmp_path / "b", "--epochs", "1", "--recipe", "vit_cifar10", "--warmup-epochs", "0")
    assert "images of 3x32x32" in capsys.readouterr().out


def test_pictures_are_read_as_the_weights_know_them(folder, tmp_path, capsys):
    """In their size and their colours; other sizes are said, since positions are stretched."""
    first, more = tmp_path / "first", ["--epochs=1", "--warmup-epochs=0", "--batch-size=8", "--device=cpu", "--quiet"]
    command(folder, first, "--epochs", "1", "--picture-size", "16", "--warmup-epochs", "0")
    start = ["--start-from", str(first / "model.safetensors")]
    grey = tmp_path / "grey"
    for name in ("light", "dark"):
        for i in range(3):
            save(Image.new("L", (9, 9), 200 + i if name == "light" else 40 + i), grey / name / f"{i}.png")
    capsys.readouterr()
    train.main([*more, *start, "--data", str(grey), "--out", str(tmp_path / "a")])
    printed = capsys.readouterr().out
    assert "images of 3x16x16, 2 classes" in printed
    assert "stretched" not in printed
    train.main([*more, "--data", str(grey), "--out", str(tmp_path / "a")])  # which goes on
    assert "images of 3x16x16, 2 classes" in capsys.readouterr().out
    train.main([*more, *start, "--data", str(grey), "--out", str(tmp_path / "b"), "--picture-size", "32"])
    assert "; positions are stretched from 4x4 patches to 8x8\n" in capsys.readouterr().out

    command(grey, tmp_path / "dim", "--epochs", "1", "--picture-size", "16", "--warmup-epochs", "0")
    start = ["--start-from", str(tmp_path / "dim" / "model.safetensors")]
    capsys.readouterr()
    train.main([*more, *start, "--data", str(folder), "--out", str(tmp_path / "c")])
    assert "images of 1x16x16, 3 classes" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--out", "--keep-in", "--float16", "--records"])
def test_nothing_is_written_among_the_pictures(folder, tmp_path, monkeypatch, option):
    monkeypatch.chdir(tmp_path)
    before = sorted(folder.rglob("*"))
    options = {"--out": "run", "--record": "own", "--records": "records"} | {option: f"{folder.name}/results"}
    with pytest.raises(SystemExit) as ended:
        train.main([*shlex.split(SMALL), "--data", str(folder), *(word for pair in options.items() for word in pair)])
    assert ended.value.code.startswith(
        f"error: {option} {folder.name}/results lies in the folder of --data, {folder}, w"
    )
    assert sorted(folder.rglob("*")) == before
    assert not (tmp_path / "run").exists()


def test_one_process_of_several_says_what_is_left_out(folder, tmp_path, monkeypatch):
    (folder / "red" / "broken.png").touch()
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setenv("USERPROFILE", str(folder.parent))
    options = train.parse(["--data", "~/paints", "--out", str(tmp_path / "run")])
    with pytest.warns(DataWarning):
        first = train.find_data(options)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        second = train.find_data(options, quiet=True)
    assert said == []
    assert torch.equal(first.train_images, second.train_images)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_with_a_folder_writes_nothing_of_the_courses_own(recipe, capsys):
    options = train.parse(["--recipe", recipe, "--data", "mine", "--out", "x"])
    assert (options.record, options.float16, options.keep, options.keep_in) == (None, None, (), None)
    assert options.training == train.parse(["--recipe", recipe, "--out", "x"]).training
    with pytest.raises(SystemExit, match="2"):
        train.parse(["--recipe", recipe, "--data", "mine"])
    assert "--out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--data", "nowhere"], "error: --data nowhere is no folder, and none of the data sets fashion_mnist, "),
        (
            ["--picture-size", "9"],
            "error: --picture-size 9 is for a folder, and fashion_mnist has pictures of one size",
        ),
        (["--data", "FOLDER", "--picture-size", "0"], "error: image_size is 0"),
        (["--data", "FOLDER", "--data-root", "x"], "error: --data-root x is for the data sets that have a name"),
    ],
)
def test_what_does_not_go_together_ends_with_a_sentence(folder, tmp_path, options, sentence):
    options = [str(folder) if option == "FOLDER" else option for option in options]
    with pytest.raises(SystemExit) as ended:
        train.main([*shlex.split(SMALL), "--out", str(tmp_path / "run"), *options])
    assert ended.value.code.startswith(sentence)


def test_a_colour_that_no_picture_has_is_no_division_by_zero(tmp_path):
    """As in pictures of cells, where only the green one glows."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(4):
            pixels = np.zeros((8, 8, 3), dtype=np.uint8)
            pixels[..., 1] = np.random.default_rng(number).integers(0, 256, (8, 8))
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    data = Dataset.from_folder(tmp_path, image_size=8)
    assert (data.mean[0], data.mean[2], data.std[0], data.std[2]) == (0, 0, 1, 1)
    x = data.normalize(data.train_images)
    assert x.isfinite().all()
    assert x[:, [0, 2]].eq(0).all()
    with pytest.raises(ValueError, match="seed is -1; it must be from 0"):
        Dataset.from_folder(tmp_path, image_size=8, seed=-1)
