"""What all command lines have in common: no value is dropped in silence, and no name is too foreign to be printed."""

import io
import sys

import pytest

from vit_tutorial.support.command_line import in_words, print_all_names, refuse_repeated


@pytest.mark.parametrize(
    ("arguments", "name", "count"),
    [
        ("--classes 0 --classes 1", "--classes", 2),
        ("--stem-layers=1 --stem_layers 2 --stem-layers=3", "--stem-layers", 3),
    ],
)
def test_an_option_for_several_values_occurs_once(capsys, arguments, name, count):
    with pytest.raises(SystemExit) as ended:
        refuse_repeated(arguments.split(), ["classes", "stem_layers"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        f"error: {name} is given {count} times, and the last alone would count; give it once, with all values one "
        f"after the other: {name} A B\n"
    )


def test_of_an_option_for_one_value_the_last_counts(capsys):
    refuse_repeated(["--dim", "8", "--classes", "1", "2", "--dim", "16"], ["classes"])
    assert capsys.readouterr().err == ""


def test_what_the_system_refuses_is_named_with_the_way_out(tmp_path):
    with pytest.raises(FileNotFoundError) as refused:
        (tmp_path / "nothing").read_bytes()
    assert in_words(refused.value) == (
        f"{tmp_path / 'nothing'} cannot be read or written (No such file or directory); name another place, or allow "
        "it there"
    )
    assert in_words(FileNotFoundError("there is no file a")) == "there is no file a"


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_what_the_encoding_does_not_have_is_printed_all_the_same(monkeypatch, encoding):
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", None)  # as in a program without a console
    print_all_names()
    print("Käse \udcff", flush=True)
    assert out.buffer.getvalue().decode() == ("K\\xe4se \\udcff\n" if encoding == "ascii" else "Käse \\udcff\n")
