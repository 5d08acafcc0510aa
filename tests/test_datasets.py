"""The data sets: what is in them, how they are found, and that a broken copy is never taken for data."""

import gzip
import hashlib
import http.server
import importlib.util
import io
import json
import os
import pickle
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.datasets import CIFAR10, FashionMNIST
from warm import PYTHON

from vit_tutorial import datasets
from vit_tutorial.datasets import DataError, Dataset, channel_statistics, load, pictures

pytestmark = pytest.mark.slow

REPOSITORY = Path(datasets.__file__).resolve().parent.parent
NPZ = REPOSITORY / "data" / "fashion_mnist.npz"


# --- Ways to break a file --------------------------------------------------------------------------------------------


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_one_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


def lengthen(path):
    path.write_bytes(path.read_bytes() + b"\0")


def overwrite_the_beginning(path):
    path.write_bytes(b"\x1f\x8b\x08" + path.read_bytes()[3:10] + b"\xff" * 8 + path.read_bytes()[18:])


def replace_by_web_page(path):
    path.write_text("<html>Please log in to this network first.</html>")


BREAKAGES = [truncate, flip_one_bit, empty, lengthen, overwrite_the_beginning, replace_by_web_page]


def one_sentence(error):
    """The message of an error, after a check that it is one line and no list of nested complaints."""
    message = str(error.value)
    assert "\n" not in message
    assert len(message) < 700
    return message


# --- Places and stand-ins --------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A machine without any data on it, whatever lies on the real one; returns the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.delenv("VIT_TUTORIAL_DATA", raising=False)
    monkeypatch.setattr(datasets, "DATA_FOLDER", tmp_path / "course" / "data")
    monkeypatch.setattr(datasets, "DEBIAN_FOLDER", tmp_path / "debian")
    # No test may reach a real server: nothing listens on this address.
    monkeypatch.setattr(CIFAR10, "url", "http://127.0.0.1:9/cifar-10-python.tar.gz")
    monkeypatch.setattr(FashionMNIST, "mirrors", ["http://127.0.0.1:9/"])
    return tmp_path / "home"


@pytest.fixture
def ordinary_user():
    """Root may read and write everything, so the tests about permissions become somebody else for a while."""
    if not hasattr(os, "geteuid"):
        pytest.skip("file permissions as on Linux and macOS")
    before = os.geteuid()
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    if before == 0:
        os.chown(folder, 65534, 65534)
        os.seteuid(65534)
    yield folder
    os.seteuid(before)
    for directory, _, _ in os.walk(folder):
        os.chmod(directory, 0o755)
    shutil.rmtree(folder)


class Cifar:
    """Ten training and four test images in the format of CIFAR-10, and the checksums that belong to them."""

    def __init__(self, monkeypatch):
        rng = np.random.default_rng(0)
        names = [name for name, _ in CIFAR10.train_list + CIFAR10.test_list]
        counts = dict.fromkeys(names, 2) | {"test_batch": 4}
        self.pixels = {n: rng.integers(0, 256, (counts[n], 3072), dtype=np.uint8) for n in names}
        self.labels = {n: rng.integers(0, 10, counts[n]).tolist() for n in names}
        self.files = {n: pickle.dumps({"data": self.pixels[n], "labels": self.labels[n]}) for n in names}
        self.files["batches.meta"] = pickle.dumps({"label_names": [f"class {k}" for k in range(10)]})
        md5 = {name: hashlib.md5(content).hexdigest() for name, content in self.files.items()}
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for name, content in self.files.items():
                entry = tarfile.TarInfo(f"{CIFAR10.base_folder}/{name}")
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        self.archive = packed.getvalue()
        self.class_attributes = {
            "train_list": [[name, md5[name]] for name in names[:5]],
            "test_list": [["test_batch", md5["test_batch"]]],
            "meta": {"filename": "batches.meta", "key": "label_names", "md5": md5["batches.meta"]},
            "tgz_md5": hashlib.md5(self.archive).hexdigest(),
        }
        for key, value in self.class_attributes.items():
            monkeypatch.setattr(CIFAR10, key, value)

    def put(self, root):
        folder = root / CIFAR10.base_folder
        folder.mkdir(parents=True)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        return folder


@pytest.fixture
def cifar(home, monkeypatch):
    return Cifar(monkeypatch)


class Fashion:
    """Twenty training and ten test images in the format of Fashion-MNIST, and the checksums that belong to them."""

    def __init__(self, monkeypatch):
        rng = np.random.default_rng(0)
        self.arrays, self.files = {}, {}
        for split, count in (("train", 20), ("t10k", 10)):
            images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
            labels = rng.permutation(count).astype(np.uint8) % 10
            self.arrays[split] = images, labels
            header = np.array([0x803, count, 28, 28], dtype=">u4").tobytes()
            self.files[f"{split}-images-idx3-ubyte"] = header + images.tobytes()
            self.files[f"{split}-labels-idx1-ubyte"] = np.array([0x801, count], ">u4").tobytes() + labels.tobytes()
        self.archives = {f"{name}.gz": gzip.compress(content, mtime=1) for name, content in self.files.items()}
        sha256 = {name: hashlib.sha256(content).hexdigest() for name, content in self.files.items()}
        md5 = [(name, hashlib.md5(content).hexdigest()) for name, content in self.archives.items()]
        monkeypatch.setattr(datasets, "FASHION_MNIST_SHA256", sha256)
        monkeypatch.setattr(FashionMNIST, "resources", md5)

    def put(self, root, layout="torchvision"):
        """Write the files as torchvision does (with or without its archives) or as Debian does; return their folder."""
        folder = root if layout == "debian" else root / "FashionMNIST" / "raw"
        folder.mkdir(parents=True)
        for name, content in self.files.items():
            if layout == "torchvision":
                (folder / name).write_bytes(content)
            else:  # compressed at another time, hence with another header and another md5
                (folder / f"{name}.gz").write_bytes(gzip.compress(content, mtime=2))
        return folder


@pytest.fixture
def fashion(home, monkeypatch):
    return Fashion(monkeypatch)


class Server(http.server.ThreadingHTTPServer):
    """A web server on this machine that can misbehave: `sent` bytes of a file arrive, then it hangs up or stalls."""

    daemon_threads = True

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.requests, self.sent, self.before = files, [], None, lambda: None
        self.stalls, self.stalled, self.released = False, threading.Event(), threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/"

    def handle_error(self, request, client_address):
        """A client that has gone away is what some tests are about."""


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.requests.append(self.path)
        server.before()
        content = server.files.get(self.path.lstrip("/"))
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: server.sent])
        if server.stalls:
            self.wfile.flush()
            server.stalled.set()
            server.released.wait(120)

    def log_message(self, *_):
        pass


@pytest.fixture
def serve(monkeypatch):
    """Start a server with the files of a stand-in and let torchvision download from it."""
    servers = []

    def start(stand_in):
        files = {"cifar-10-python.tar.gz": stand_in.archive} if isinstance(stand_in, Cifar) else stand_in.archives
        server = Server(dict(files))
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        monkeypatch.setattr(CIFAR10, "url", server.url + "cifar-10-python.tar.gz")
        monkeypatch.setattr(FashionMNIST, "mirrors", [server.url])
        return server

    yield start
    for server in servers:
        server.released.set()
        server.shutdown()
        server.server_close()


# --- The embedded set ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def embedded():
    return load("fashion_mnist")


def test_embedded_set_is_balanced(embedded):
    assert embedded.train_images.shape == (10_000, 1, 28, 28)
    assert embedded.test_images.shape == (2_000, 1, 28, 28)
    assert embedded.train_images.dtype == embedded.test_images.dtype == torch.uint8
    assert embedded.train_labels.dtype == embedded.test_labels.dtype == torch.int64
    assert embedded.train_labels.bincount().tolist() == [1000] * 10
    assert embedded.test_labels.bincount().tolist() == [200] * 10
    assert embedded.class_names == tuple(FashionMNIST.classes)
    assert (embedded.image_size, embedded.in_channels, embedded.num_classes) == (28, 1, 10)


def test_embedded_set_has_no_image_twice_in_training_and_test(embedded):
    seen = {image.numpy().tobytes() for image in embedded.train_images}
    assert not any(image.numpy().tobytes() in seen for image in embedded.test_images)


def test_checksum_is_the_same_in_code_file_and_readme():
    readme = (REPOSITORY / "data" / "README.md").read_text(encoding="utf-8")
    assert hashlib.sha256(NPZ.read_bytes()).hexdigest() == datasets.FASHION_MNIST_NPZ_SHA256
    assert re.findall(r"`([0-9a-f]{64})`", readme)[0] == datasets.FASHION_MNIST_NPZ_SHA256


def test_nothing_is_looked_for_in_a_home_that_is_not_there(tmp_path, monkeypatch):
    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)
    monkeypatch.setattr(datasets, "DATA_FOLDER", tmp_path)
    monkeypatch.delenv("VIT_TUTORIAL_DATA", raising=False)
    with pytest.raises(DataError, match=r"cifar10 was not found in .*root, "):
        load("cifar10", root=tmp_path / "root", download=False)
    with pytest.raises(DataError, match="nobody knows where your home folder is; pass root, or name a folder in VIT_"):
        load("cifar10")


def test_embedded_set_is_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(load("fashion_mnist", download=False).train_images) == 10_000


def test_each_load_gives_fresh_tensors(embedded):
    other = load("fashion_mnist")
    other.train_images.zero_()
    assert embedded.train_images.any()


@pytest.mark.parametrize("damage", BREAKAGES)
def test_damaged_embedded_file_is_refused(damage, tmp_path):
    path = tmp_path / "fashion_mnist.npz"
    shutil.copy(NPZ, path)
    damage(path)
    with pytest.raises(DataError) as error:
        load("fashion_mnist", root=tmp_path)
    message = one_sentence(error)
    assert str(path) in message
    assert f"{path.stat().st_size:,} bytes" in message
    assert "git checkout data/fashion_mnist.npz" in message


def test_missing_embedded_file(home):
    with pytest.raises(DataError) as error:
        load("fashion_mnist")
    assert str(datasets.DATA_FOLDER) in one_sentence(error)
    assert "pip install -e ." in str(error.value)


def test_npz_with_code_in_it_is_not_run(tmp_path, monkeypatch):
    class Trap:
        def __reduce__(self):
            return exec, ("import vit_tutorial.datasets as d; d.trapped = True",)

    path = tmp_path / "fashion_mnist.npz"
    np.savez(path, train_images=np.array([Trap()], dtype=object))
    monkeypatch.setattr(datasets, "FASHION_MNIST_NPZ_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(ValueError, match="allow_pickle"):
        load("fashion_mnist", root=tmp_path)
    assert not hasattr(datasets, "trapped")


# --- What a data set can do ------------------------------------------------------------------------------------------


def test_normalized_training_images_have_mean_0_and_std_1(embedded):
    images = embedded.normalize(embedded.train_images)
    assert images.dtype == torch.float32
    assert images.mean().abs() < 1e-5
    assert (images.std() - 1).abs() < 1e-4


def test_normalize_treats_every_channel_by_its_own_numbers():
    black, labels = torch.zeros(1, 3, 2, 2, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64)
    data = Dataset("three", black, labels, black, labels, ("one",), mean=(0.0, 0.5, 1.0), std=(1.0, 0.5, 0.25))
    white = data.normalize(black[0] + 255)
    assert white[:, 0, 0].tolist() == [1.0, 1.0, 0.0]
    assert data.normalize(black)[0, :, 1, 1].tolist() == [0.0, -1.0, -4.0]


def test_normalize_refuses_what_it_would_spoil(embedded):
    with pytest.raises(ValueError, match=r"uint8 pixels from 0 to 255, got torch\.float32; pass the images unscaled"):
        embedded.normalize(embedded.train_images[:2] / 255)
    with pytest.raises(ValueError, match=r"\[B,1,H,W\], got \[2, 3, 28, 28\]"):
        embedded.normalize(torch.zeros(2, 3, 28, 28, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"\[B,1,H,W\], got \[28, 28\]"):
        embedded.normalize(torch.zeros(28, 28, dtype=torch.uint8))


@given(st.integers(1, 4), st.integers(1, 3), st.integers(0, 10_000))
def test_channel_statistics_equal_the_definition(count, channels, seed):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, channels, 5, 4), dtype=torch.uint8, generator=generator)
    mean, std = channel_statistics(images)
    scaled = images.double() / 255
    torch.testing.assert_close(torch.tensor(mean).double(), scaled.mean((0, 2, 3)), rtol=0, atol=1e-7)
    torch.testing.assert_close(torch.tensor(std).double(), scaled.std((0, 2, 3), correction=0), rtol=0, atol=1e-7)


@pytest.mark.parametrize("classes", [[7, 2], torch.tensor([7, 2])])
def test_some_classes_are_numbered_anew_and_the_rest_is_gone(embedded, classes):
    part = embedded.of_classes(classes)
    assert part.name == "2 classes of fashion_mnist"
    assert part.class_names == (embedded.class_names[7], embedded.class_names[2])
    for images, labels, own, own_labels in (
        (embedded.train_images, embedded.train_labels, part.train_images, part.train_labels),
        (embedded.test_images, embedded.test_labels, part.test_images, part.test_labels),
    ):
        assert len(own) == len(own_labels) == int(((labels == 7) | (labels == 2)).sum())
        assert torch.equal(own[own_labels == 0], images[labels == 7])
        assert torch.equal(own[own_labels == 1], images[labels == 2])
    assert (part.mean, part.std) == channel_statistics(part.train_images)


@pytest.mark.parametrize("classes", [(3, 3), (0, 10), (-1,)])
def test_classes_that_are_not_there_get_a_sentence(embedded, classes):
    with pytest.raises(ValueError, match=r"^classes are \(.*\); fashion_mnist has 0 to 9, and each may be named once$"):
        embedded.of_classes(classes)


@pytest.mark.parametrize("classes", [(), (3,)])
def test_a_class_alone_is_nothing_to_learn(embedded, classes):
    with pytest.raises(ValueError, match=r"^classes are \(.*\); name two or more of 0 to 9: one alone leaves nothing"):
        embedded.of_classes(classes)


def test_repr_says_what_it_is(embedded):
    expected = "Dataset fashion_mnist: 10,000 training and 2,000 test images of 1x28x28, 10 classes"
    assert repr(embedded) == expected


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown data set 'mnist'; the known ones are fashion_mnist, .*, cifar10"):
        load("mnist")


def test_import_is_light():
    heavy = "{'torchvision', 'skimage', 'scipy', 'matplotlib', 'PIL'}"
    code = f"import vit_tutorial.datasets, sys; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


# --- CIFAR-10 on disk ------------------------------------------------------------------------------------------------


def test_cifar10_layout(cifar, tmp_path):
    cifar.put(tmp_path)
    data = load("cifar10", root=str(tmp_path), download=False)
    rows = np.concatenate([cifar.pixels[f"data_batch_{k}"] for k in range(1, 6)])
    assert data.train_images.shape == (10, 3, 32, 32)
    assert np.array_equal(data.train_images.numpy(), rows.reshape(10, 3, 32, 32))
    assert np.array_equal(data.test_images.numpy(), cifar.pixels["test_batch"].reshape(4, 3, 32, 32))
    assert data.train_labels.tolist() == [y for k in range(1, 6) for y in cifar.labels[f"data_batch_{k}"]]
    assert data.test_labels.tolist() == cifar.labels["test_batch"]
    assert data.train_images.is_contiguous()
    assert data.class_names == tuple(f"class {k}" for k in range(10))
    assert data.mean == pytest.approx((rows.reshape(10, 3, -1) / 255).mean((0, 2)), abs=1e-12)


@pytest.mark.parametrize("damage", BREAKAGES)
@pytest.mark.parametrize("file", ["data_batch_3", "test_batch", "batches.meta"])
def test_damaged_cifar10_is_refused(damage, file, cifar, tmp_path):
    path = cifar.put(tmp_path) / file
    damage(path)
    with pytest.raises(DataError) as error:
        load("cifar10", root=tmp_path)
    message = one_sentence(error)
    assert f"{path} ({path.stat().st_size:,} bytes) is truncated or damaged" in message
    assert "delete that copy and load again" in message


@pytest.mark.parametrize("file", ["data_batch_5", "test_batch", "batches.meta"])
def test_incomplete_cifar10_is_refused(file, cifar, tmp_path):
    path = cifar.put(tmp_path) / file
    path.unlink()
    with pytest.raises(DataError, match="so this copy of CIFAR-10 is incomplete") as error:
        load("cifar10", root=tmp_path)
    assert str(path) in one_sentence(error)


def test_archive_alone_is_no_data(cifar, tmp_path):
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(cifar.archive[:500])
    with pytest.raises(DataError, match="not found") as error:
        load("cifar10", root=tmp_path, download=False)
    assert "cifar-10-batches-py" in one_sentence(error)


# --- The whole of Fashion-MNIST on disk ------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["torchvision", "archives", "debian"])
def test_full_fashion_mnist_is_read_in_every_layout(layout, fashion, tmp_path):
    fashion.put(tmp_path / "data", layout)
    data = load("fashion_mnist_full", root=tmp_path / "data", download=False)
    assert data.train_images.shape == (20, 1, 28, 28)
    for images, labels, split in (
        (data.train_images, data.train_labels, "train"),
        (data.test_images, data.test_labels, "t10k"),
    ):
        assert np.array_equal(images.squeeze(1).numpy(), fashion.arrays[split][0])
        assert np.array_equal(labels.numpy(), fashion.arrays[split][1])


@pytest.mark.parametrize("damage", BREAKAGES)
@pytest.mark.parametrize("layout", ["torchvision", "debian"])
@pytest.mark.parametrize("file", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_damaged_full_fashion_mnist_is_refused(damage, layout, file, fashion, tmp_path):
    folder = fashion.put(tmp_path / "data", layout)
    path = folder / (file if layout == "torchvision" else f"{file}.gz")
    damage(path)
    if damage is lengthen and layout == "debian":  # gzip allows zeros after its end: the content is still the right one
        assert len(load("fashion_mnist_full", root=tmp_path / "data").train_images) == 20
        return
    with pytest.raises(DataError) as error:
        load("fashion_mnist_full", root=tmp_path / "data")
    assert f"{path} ({path.stat().st_size:,} bytes) is truncated or damaged" in one_sentence(error)


def test_incomplete_full_fashion_mnist_is_refused(fashion, tmp_path):
    (fashion.put(tmp_path) / "t10k-images-idx3-ubyte").unlink()
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte is missing") as error:
        load("fashion_mnist_full", root=tmp_path)
    assert str(tmp_path) in one_sentence(error)


def test_folder_without_files_is_refused(fashion, tmp_path):
    (tmp_path / "FashionMNIST" / "raw").mkdir(parents=True)
    with pytest.raises(DataError, match="train-images-idx3-ubyte is missing"):
        load("fashion_mnist_full", root=tmp_path)


def test_labels_in_the_place_of_other_labels_are_refused(fashion, tmp_path):
    folder = fashion.put(tmp_path)
    shutil.copy(folder / "train-labels-idx1-ubyte", folder / "t10k-labels-idx1-ubyte")
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte"):
        load("fashion_mnist_full", root=tmp_path)


# --- Where it looks --------------------------------------------------------------------------------------------------


def test_folders_are_searched_in_the_promised_order(cifar, home, tmp_path, monkeypatch):
    monkeypatch.setenv("VIT_TUTORIAL_DATA", str(tmp_path / "shared"))
    places = [
        home / ".cache" / "vit_tutorial",
        tmp_path / "course" / "data" / "downloads",
        tmp_path / "shared",
        tmp_path / "root",
    ]
    for place in places:
        cifar.put(place)
        assert len(load("cifar10", root=tmp_path / "root", download=False).train_images) == 10
        # A damaged copy in a place shows that this place is looked at before those filled so far.
        empty(place / CIFAR10.base_folder / "test_batch")
        with pytest.raises(DataError, match=re.escape(str(place))):
            load("cifar10", root=tmp_path / "root", download=False)


def test_debian_folder_is_searched_for_fashion_mnist(fashion, tmp_path):
    fashion.put(tmp_path / "debian", "debian")
    assert len(load("fashion_mnist_full", download=False).train_images) == 20


def test_tilde_in_root_is_the_home_folder(cifar, home):
    cifar.put(home / "pictures")
    assert len(load("cifar10", root="~/pictures", download=False).train_images) == 10


@pytest.mark.parametrize("name", ["cifar10", "fashion_mnist_full"])
def test_nothing_on_disk_names_the_folders_searched(name, home, tmp_path):
    with pytest.raises(DataError) as error:
        load(name, root=tmp_path / "nowhere", download=False)
    message = one_sentence(error)
    assert str(tmp_path / "nowhere") in message
    assert str(home / ".cache" / "vit_tutorial") in message
    assert "download=True" in message


def test_unreadable_file(cifar, home, ordinary_user):
    path = cifar.put(ordinary_user) / "data_batch_1"
    path.chmod(0)
    with pytest.raises(DataError, match="cannot be read") as error:
        load("cifar10", root=ordinary_user)
    assert str(path) in one_sentence(error)


def test_read_only_folder_can_be_read(cifar, home, ordinary_user):
    folder = cifar.put(ordinary_user)
    folder.chmod(0o555)
    ordinary_user.chmod(0o555)
    assert len(load("cifar10", root=ordinary_user, download=False).train_images) == 10


# --- Downloads -------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["cifar10", "fashion_mnist_full"])
def downloadable(request):
    """The name of a set that can be downloaded, with a small stand-in for it."""
    return request.param, request.getfixturevalue("cifar" if request.param == "cifar10" else "fashion")


def test_download_then_load_from_disk(downloadable, serve, tmp_path, capfd):
    name, stand_in = downloadable
    server = serve(stand_in)
    fresh = load(name, root=tmp_path / "new" / "folder")
    requests = len(server.requests)
    again = load(name, root=tmp_path / "new" / "folder")
    assert requests > 0
    assert len(server.requests) == requests
    assert torch.equal(fresh.train_images, again.train_images)
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == [datasets.DOWNLOADS[name]]
    assert capfd.readouterr() == ("", "")


def test_download_shows_progress_to_a_person(cifar, serve, tmp_path, capsys, monkeypatch):
    serve(cifar)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)  # whatever pytest's own plugins have imported
    load("cifar10", root=tmp_path)
    shown = capsys.readouterr().err
    assert "downloading cifar10" in shown
    assert "100%" in shown


def test_download_folder(cifar, serve, home, tmp_path, monkeypatch):
    serve(cifar)
    load("cifar10")
    assert (home / ".cache" / "vit_tutorial" / CIFAR10.base_folder / "test_batch").exists()
    shutil.rmtree(home)
    monkeypatch.setenv("VIT_TUTORIAL_DATA", str(tmp_path / "shared"))
    load("cifar10")
    assert (tmp_path / "shared" / CIFAR10.base_folder / "test_batch").exists()
    assert not home.exists()


def broken_off(server):
    server.sent = 100


def damaged_on_the_way(server):
    server.files = {name: content[:50] + b"?" + content[51:] for name, content in server.files.items()}


def not_there(server):
    server.files = {}


def silent(server):
    server.sent, server.stalls = 100, True


def offline(server):
    server.socket.close()
    server.socket = socket.socket()


@pytest.mark.parametrize("fault", [broken_off, damaged_on_the_way, not_there, silent, offline])
def test_failed_download_leaves_nothing_behind(fault, downloadable, serve, tmp_path, monkeypatch):
    name, stand_in = downloadable
    fault(serve(stand_in))
    began = time.monotonic()
    with monkeypatch.context() as impatient:
        impatient.setattr(datasets, "DOWNLOAD_PATIENCE", 0.5)
        with pytest.raises(DataError) as error:
            load(name, root=tmp_path / "root")
    assert time.monotonic() - began < 30
    message = one_sentence(error)
    assert f"the download of {name} to {tmp_path / 'root'} failed or broke off" in message
    assert "fashion_mnist, which needs no network" in message
    assert list((tmp_path / "root").iterdir()) == []
    assert socket.getdefaulttimeout() is None
    serve(stand_in)
    assert len(load(name, root=tmp_path / "root").train_images) > 0


def test_download_that_cannot_be_moved_into_place_is_an_error(cifar, serve, tmp_path, monkeypatch):
    def full_disk(*_):
        raise OSError(28, "No space left on device")

    serve(cifar)
    monkeypatch.setattr(Path, "rename", full_disk)
    with pytest.raises(DataError, match="No space left on device"):
        load("cifar10", root=tmp_path)
    assert list(tmp_path.glob("*cifar*")) == []


def test_interrupt_by_the_learner_leaves_nothing_behind(cifar, serve, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    serve(cifar)
    monkeypatch.setattr(CIFAR10, "_load_meta", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load("cifar10", root=tmp_path)
    assert list(tmp_path.glob("*cifar*")) == []


def test_damaged_copy_is_not_replaced_behind_the_learners_back(cifar, serve, tmp_path):
    server = serve(cifar)
    path = cifar.put(tmp_path) / "test_batch"
    truncate(path)
    before = path.read_bytes()
    with pytest.raises(DataError, match="test_batch"):
        load("cifar10", root=tmp_path)
    assert server.requests == []
    assert path.read_bytes() == before


def test_root_that_is_a_file(cifar, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DataError, match="cannot be downloaded into"):
        load("cifar10", root=tmp_path / "file")
    assert (tmp_path / "file").read_text() == "not a folder"


def test_download_into_a_read_only_folder(cifar, serve, home, ordinary_user, monkeypatch):
    server = serve(cifar)
    monkeypatch.setenv("HOME", str(ordinary_user))
    ordinary_user.chmod(0o555)
    monkeypatch.setattr(datasets, "DATA_FOLDER", ordinary_user / "data")
    with pytest.raises(DataError, match="Permission denied") as error:
        load("cifar10", root=ordinary_user)
    assert "pass a folder that you may write to as root" in one_sentence(error)
    assert server.requests == []


def test_the_slower_of_two_downloads_keeps_the_copy_of_the_faster(downloadable, serve, tmp_path):
    name, stand_in = downloadable
    server = serve(stand_in)

    def other_process_finishes():
        if not (tmp_path / datasets.DOWNLOADS[name]).exists():
            stand_in.put(tmp_path)
            (tmp_path / datasets.DOWNLOADS[name] / "by the other").touch()

    server.before = other_process_finishes
    assert len(load(name, root=tmp_path).train_images) > 0
    assert (tmp_path / datasets.DOWNLOADS[name] / "by the other").exists()
    assert list(tmp_path.glob("unfinished-*")) == []


LOADER = """
import json, sys
from torchvision.datasets import CIFAR10
from vit_tutorial import datasets
datasets.DOWNLOAD_PATIENCE = 240
for key, value in json.loads(sys.argv[1]).items():
    setattr(CIFAR10, key, value)
print(datasets.load("cifar10", root=sys.argv[2]))
"""


def start_loader(stand_in, root):
    attributes = json.dumps(stand_in.class_attributes | {"url": CIFAR10.url})
    command = [PYTHON, "-c", LOADER, attributes, str(root)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_processes_download_at_once(cifar, serve, tmp_path):
    server = serve(cifar)
    both_have_begun = threading.Event()

    def wait_for_both():
        deadline = time.monotonic() + 120
        while not both_have_begun.is_set() and time.monotonic() < deadline:
            if len(list(tmp_path.glob("unfinished-*"))) == 2:
                both_have_begun.set()
            time.sleep(0.01)

    server.before = wait_for_both
    processes = [start_loader(cifar, tmp_path) for _ in range(2)]
    answers = [process.communicate(timeout=240) for process in processes]
    assert both_have_begun.is_set()
    assert answers == [("Dataset cifar10: 10 training and 4 test images of 3x32x32, 10 classes\n", "")] * 2
    assert [path.name for path in tmp_path.glob("*cifar*")] == [CIFAR10.base_folder]


def test_killed_download_never_counts_as_data(cifar, serve, tmp_path):
    server = serve(cifar)
    server.sent, server.stalls = len(cifar.archive) // 2, True
    process = start_loader(cifar, tmp_path)
    assert server.stalled.wait(120)
    process.kill()
    process.communicate()
    assert len(list(tmp_path.glob("unfinished-*"))) == 1
    with pytest.raises(DataError, match="not found"):
        load("cifar10", root=tmp_path, download=False)
    server.released.set()
    serve(cifar)
    assert len(load("cifar10", root=tmp_path).train_images) == 10


# --- The real sets, where they are on this disk ----------------------------------------------------------------------


def real(name):
    try:
        return load(name, download=False)
    except DataError as error:
        if "was not found" in str(error):
            pytest.skip(f"{name} is not on this disk")
        raise


def test_real_cifar10():
    data = real("cifar10")
    assert data.train_images.shape == (50_000, 3, 32, 32)
    assert data.test_images.shape == (10_000, 3, 32, 32)
    assert data.train_labels.bincount().tolist() == [5000] * 10
    assert data.test_labels.bincount().tolist() == [1000] * 10
    assert data.mean == pytest.approx((0.4914, 0.4822, 0.4465), abs=1e-4)
    assert data.std == pytest.approx((0.2470, 0.2435, 0.2616), abs=1e-4)
    assert data.class_names[:4] == ("airplane", "automobile", "bird", "cat")


def test_embedded_set_is_the_first_of_each_class(embedded, make):
    full = real("fashion_mnist_full")
    assert (len(full.train_images), len(full.test_images)) == (60_000, 10_000)
    arrays = make.subset(full, make.TRAIN_PER_CLASS, make.TEST_PER_CLASS)
    assert np.array_equal(arrays["train_images"], embedded.train_images.squeeze(1))
    assert np.array_equal(arrays["test_images"], embedded.test_images.squeeze(1))
    assert np.array_equal(arrays["train_labels"], embedded.train_labels)
    assert np.array_equal(arrays["test_labels"], embedded.test_labels)


# --- The script that makes the embedded set --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def make():
    spec = importlib.util.spec_from_file_location("make_fashion_mnist", REPOSITORY / "data" / "make_fashion_mnist.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tiny(fashion, make, tmp_path, monkeypatch):
    """What the script makes of the stand-in: one image of every class for training and one for the test."""
    fashion.put(tmp_path / "package", "debian")
    monkeypatch.setattr(make, "TRAIN_PER_CLASS", 1)
    monkeypatch.setattr(make, "TEST_PER_CLASS", 1)
    expected = make.subset(load("fashion_mnist_full", root=tmp_path / "package"), 1, 1)
    with pytest.raises(DataError) as error:
        make.write(expected, tmp_path / "tiny.npz", "")
    monkeypatch.setattr(make, "FASHION_MNIST_NPZ_SHA256", re.search("[0-9a-f]{64}", str(error.value))[0])
    return expected


def test_first_of_each_class(make):
    assert make.first_of_each_class(np.array([2, 0, 0, 1, 2, 1, 0, 2]), 2).tolist() == [0, 1, 2, 3, 4, 5]
    assert make.first_of_each_class(np.array([2, 0, 0, 1, 2, 1, 0, 2]), 1).tolist() == [0, 1, 3]


def test_script_makes_the_same_bytes_again(make, tiny, tmp_path, monkeypatch):
    make.make(tmp_path / "package", tmp_path / "one.npz")
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(1_000_000_000))
    make.make(tmp_path / "package", tmp_path / "two.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    with np.load(tmp_path / "one.npz", allow_pickle=False) as arrays:
        assert {key: arrays[key].tolist() for key in arrays} == {key: tiny[key].tolist() for key in tiny}
        assert all(arrays[key].dtype == np.uint8 for key in arrays)
        assert sorted(arrays["train_labels"]) == list(range(10))


def test_script_repacks_the_embedded_file_to_itself(make, embedded, tmp_path):
    with np.load(NPZ, allow_pickle=False) as arrays:
        make.write(dict(arrays), tmp_path / "again.npz", datasets.FASHION_MNIST_NPZ_SHA256)
    assert (tmp_path / "again.npz").read_bytes() == NPZ.read_bytes()


def test_script_never_overwrites_a_good_file_with_another(make, tiny, tmp_path, monkeypatch):
    out = tmp_path / "good.npz"
    out.write_bytes(b"good")
    monkeypatch.setattr(make, "FASHION_MNIST_NPZ_SHA256", "0" * 64)
    with pytest.raises(DataError, match="was left as it is"):
        make.make(tmp_path / "package", out)
    flip_one_bit(tmp_path / "package" / "train-images-idx3-ubyte.gz")
    with pytest.raises(DataError, match="truncated or damaged"):
        make.make(tmp_path / "package", out)
    assert out.read_bytes() == b"good"
    assert list(tmp_path.glob("unfinished-*")) == []


@pytest.mark.parametrize("source", ["nowhere", "empty", "file.deb"])
def test_script_says_what_it_needs(source, make, home, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.deb").write_text("no package")
    with pytest.raises(DataError, match=source):
        make.make(tmp_path / source, tmp_path / "out.npz")
    assert not (tmp_path / "out.npz").exists()


# --- Pictures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", datasets.PICTURES)
@pytest.mark.parametrize("size", [64, 224])
def test_picture_is_the_middle_square_resized(name, size):
    import skimage.data
    from PIL import Image

    image = Image.fromarray(getattr(skimage.data, name)()).convert("RGB")
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    expected = image.crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.BILINEAR)
    picture = pictures(name, size)
    assert picture.shape == (3, size, size)
    assert picture.dtype == torch.uint8
    difference = picture.permute(1, 2, 0).int().numpy() - np.asarray(expected, dtype=np.int32)
    assert np.abs(difference).max() <= 1
    assert abs(difference.mean()) < 0.1


def test_picture_has_224_pixels_unless_told():
    assert pictures("chelsea").shape == (3, 224, 224)


def test_pictures_come_without_a_network():
    import skimage

    shipped = {path.stem for path in (Path(skimage.__file__).parent / "data").iterdir()}
    assert set(datasets.PICTURES) <= shipped


def test_unknown_picture_lists_the_known_ones():
    with pytest.raises(ValueError, match="unknown picture 'dog'; the known ones are chelsea, coffee, astronaut"):
        pictures("dog")


def test_picture_size_may_be_a_number_of_numpy():
    assert pictures("chelsea", np.int64(8)).shape == (3, 8, 8)


@pytest.mark.parametrize("size", [0, -3, 22.4, "224", True])
def test_picture_size_is_a_positive_whole_number(size):
    with pytest.raises(ValueError, match="positive whole number of pixels, got"):
        pictures("chelsea", size)
