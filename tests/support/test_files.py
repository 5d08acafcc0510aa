"""A file is written whole or not at all, and JSON is laid out to be read."""

import errno
import json
import os

import numpy as np
import pytest
from safetensors.numpy import load, save

from vit_tutorial.support.files import in_one_order, sweep, writable_or_temporary, write_file, write_json


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_file(path, b"old")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
    with pytest.raises(OSError, match="broken"):
        write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_folders_are_made_and_a_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    path = tmp_path / "new" / "folder" / "file"
    assert write_file(path, b"new") is None
    assert path.read_bytes() == b"new"
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        write_file(path, b"newer")
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_names_the_file_that_was_to_be_written(tmp_path):
    path = tmp_path / ("n" * 300)
    with pytest.raises(OSError, match="name too long") as error:
        write_file(path, b"new")
    assert error.value.filename == str(path)


def test_json_keeps_each_list_of_plain_values_on_one_line(tmp_path):
    content = {"name": "run", "losses": [2.3, 1.5, 0.9], "rows": [{"seed": 0, "counts": [1, 2]}]}
    write_json(tmp_path / "record.json", content)
    text = (tmp_path / "record.json").read_text()
    assert json.loads(text) == content
    assert '"losses": [2.3, 1.5, 0.9]' in text
    assert '"counts": [1, 2]' in text
    assert text.endswith("}\n")


def test_json_keeps_the_blanks_of_a_text(tmp_path):
    content = {"names": ["red  apple", " pear ", "a\nb ", "x]  ", "[", "tab\t", ""], "empty": [], "deep": [[" 1 ", 2]]}
    write_json(tmp_path / "record.json", content)
    assert json.loads((tmp_path / "record.json").read_text()) == content


def test_sweep_deletes_what_killed_writes_of_this_file_left(tmp_path):
    path = tmp_path / "weights+1.bin"
    others = ["weights+1.bin", ".weights+1.bin.tmp", ".weights+1.bin.1x.tmp", ".weightss1.bin.3.tmp", ".another.3.tmp"]
    for name in (*others, ".weights+1.bin.3.tmp", ".weights+1.bin.77.tmp"):
        (tmp_path / name).write_text("")
    sweep(path)
    assert sorted(found.name for found in tmp_path.iterdir()) == sorted(others)


def test_words_and_tensors_are_the_same_bytes_each_time(tmp_path):
    tensors = {"half": np.ones(3, np.float16), "ä": np.arange(6.0).reshape(2, 3), "none": np.zeros((0, 2), np.float32)}
    words = {"format": "ours", "card": "naïve", "config": '{"a": 1}'}
    contents = {in_one_order(save(tensors, words)) for _ in range(20)}
    assert len(contents) == 1
    content = contents.pop()
    loaded = load(content)
    assert all(np.array_equal(loaded[name], tensor) for name, tensor in tensors.items())
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert list(header["__metadata__"].items()) == sorted(words.items())
    assert load(in_one_order(save(tensors))).keys() == tensors.keys()


@pytest.mark.parametrize("length", range(8))
def test_tensors_begin_at_a_multiple_of_eight_bytes(length):
    content = in_one_order(save({"ones": np.ones(3)}, {"word": "a" * length}))
    assert int.from_bytes(content[:8], "little") % 8 == 0


def test_a_folder_that_can_be_written_is_taken_and_nothing_stays_of_the_trial(tmp_path, capsys):
    assert writable_or_temporary(tmp_path / "runs") == tmp_path / "runs"
    assert list((tmp_path / "runs").iterdir()) == []
    assert capsys.readouterr().out == ""


def test_a_folder_that_cannot_be_written_is_named_and_replaced(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "runs").write_text("a file, where the folder would be")
    other = writable_or_temporary(tmp_path / "runs")
    assert other.is_dir()
    assert other.parent == tmp_path
    said = f"{tmp_path}/runs cannot be written (File exists), so what is made here goes to {other}\n"
    assert capsys.readouterr().out == said


def test_a_failed_write_names_its_file(tmp_path, monkeypatch):
    def fail(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=r"No space left on device: '.*weights\.bin'"):
        write_file(tmp_path / "weights.bin", b"12")
