"""Wheel and source distribution carry the whole course, and an installed wheel works without a clone or a network."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
LARGEST_WHEEL = 16_000_000  # bytes

SMOKE = """
import warnings
from pathlib import Path

import vit_tutorial

warnings.resetwarnings()

import torch

from vit_tutorial import load_model, predict, train
from vit_tutorial.datasets import DATA_FOLDER, load
from vit_tutorial.exercises import check
from vit_tutorial.exercises.progress import my_progress
from vit_tutorial.explore import AttentionLab
from vit_tutorial.machine import check_machine
from vit_tutorial.recipes import RECORDED
from vit_tutorial.studies import load_study
from vit_tutorial.training.devices import describe_environment

print(Path(vit_tutorial.__file__).parents[1])
model, data = load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors"), load("fashion_mnist")
pixels = model.card.normalize(data.test_images[:100])
with torch.no_grad():
    right = model(pixels).argmax(dim=1) == data.test_labels[:100]
assert right.float().mean() > 0.8
assert check.count_tokens(lambda image_size, patch_size: (image_size // patch_size) ** 2).passed
assert my_progress().total.done == 1
maps = vit_tutorial.attention_maps(model, pixels[:1])
lab = AttentionLab(data.test_images[0], maps, model.grid_size)
assert "image/png" in lab._repr_mimebundle_()[0]["text/html"]
assert load_study("heads").runs
assert check_machine()
assert describe_environment(torch.device("cpu"))["git_revision"] is None
for recipe in RECORDED.values():
    assert "accuracy" in str(recipe)  # its record says so
    assert all(path.is_relative_to(Path.cwd()) for path in (recipe.out, recipe.weights, recipe.keep_in) if path)

small = "--patch-size=14 --dim=8 --depth=1 --num-heads=1 --epochs=1 --warmup-epochs=0 --device=cpu --quiet"
train.main([*small.split(), "--classes", "0", "1", "--out", "runs/mine"])
predict.main([PICTURE, "--model", "runs/mine/model.safetensors"])
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of both, built as a publisher would."""
    folder = tmp_path_factory.mktemp("built")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", folder], cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="module")
def wheel(built):
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder that pip has installed the wheel into, and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile"]
    subprocess.run([*pip, "--disable-pip-version-check", "--target", folder, wheel], check=True)
    return folder


@pytest.fixture
def run(installed, tmp_path, monkeypatch):
    """Return a function that runs Python in an empty folder, with the installed course."""
    for name in ("VIT_TUTORIAL_PROGRESS", "VIT_TUTORIAL_WORK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONPATH", str(installed))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.chdir(tmp_path)
    before = names(installed)

    def run(*arguments):
        done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    yield run
    assert names(installed) == before, "something was written into the installed course"


def names(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def tracked(folder):
    """The files of a folder that git keeps, or all of them where this is no clone."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z", folder], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return {f"{folder}/{name}" for name in names(ROOT / folder) if "." in name and "__pycache__" not in name}
    return set(listed.stdout.rstrip("\0").split("\0"))


def test_the_wheel_is_the_package_with_its_data_inside(wheel):
    wanted = tracked("vit_tutorial") | {f"vit_tutorial/{name}" for name in tracked("data")}
    wanted |= {name.replace("notebooks", "vit_tutorial", 1) for name in tracked("notebooks/figures")}
    found = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert found == wanted - {"vit_tutorial/data/make_fashion_mnist.py"}
    assert wheel.stat().st_size < LARGEST_WHEEL


def test_the_source_distribution_builds_the_same_wheel(built, wheel, tmp_path):
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as content:
        content.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    assert {"notebooks", "tests", "site", "data", "setup_env.py", "Makefile"} <= {
        path.name for path in folder.iterdir()
    }
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path], cwd=folder, check=True)
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()


def test_an_installed_course_works_and_what_is_made_goes_to_the_working_folder(run, installed, tmp_path):
    picture = ROOT / "notebooks" / "figures" / "attention_lab.png"
    said = run("-W", "error", "-c", f"PICTURE = {str(picture)!r}\n{SMOKE}").splitlines()
    assert Path(said[0]) == installed
    assert any(line.startswith(str(picture)) for line in said)
    assert (tmp_path / "runs" / "mine" / "model.safetensors").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"progress.json", "progress.json.lock", "runs"}


def test_without_its_data_one_sentence_says_what_to_do(run, installed, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(installed / "vit_tutorial", bare / "vit_tutorial", ignore=shutil.ignore_patterns("data"))
    code = f"""
import sys

sys.path.insert(0, {str(bare)!r})
from vit_tutorial import load_model
from vit_tutorial.datasets import DATA_FOLDER, DataError, load

try:
    load("fashion_mnist")
except DataError as error:
    print(error)
try:
    load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors")
except FileNotFoundError as error:
    print(error)
"""
    data, weights = run("-c", code).splitlines()
    assert data.startswith(f"fashion_mnist was not found in {bare / 'vit_tutorial' / 'data'}; install the course again")
    assert str(bare / "vit_tutorial" / "data" / "vit_fashion_mnist.safetensors") in weights
