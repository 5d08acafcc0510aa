"""A file is written whole or not at all, and JSON is laid out to be read."""

import errno
import json
import os

import pytest

from vit_tutorial.support.files import write_file, write_json


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


def test_json_keeps_each_list_of_plain_values_on_one_line(tmp_path):
    content = {"name": "run", "losses": [2.3, 1.5, 0.9], "rows": [{"seed": 0, "counts": [1, 2]}]}
    write_json(tmp_path / "record.json", content)
    text = (tmp_path / "record.json").read_text()
    assert json.loads(text) == content
    assert '"losses": [2.3, 1.5, 0.9]' in text
    assert '"counts": [1, 2]' in text
    assert text.endswith("}\n")
