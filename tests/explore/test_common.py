"""What all explorers share: checked pictures, rounded numbers, and the picture that stands where no widget runs."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from explore.examples import check_still_picture, picture, random_maps
from vit_tutorial.explore import AttentionLab, PatchLab
from vit_tutorial.explore.pictures import as_picture, shown_classes
from vit_tutorial.explore.words import best_class, decimals, fine_percent, one_or_two_decimals, patch_name, percent

EXPLORE = Path(sys.modules["vit_tutorial.explore"].__file__).parent


def test_halves_are_rounded_up_as_in_the_browser():
    assert percent(0.0625) == "6.3%"
    assert percent(1.0) == "100.0%"
    assert (fine_percent(0.0625), fine_percent(0.0004), fine_percent(1e-6)) == ("6.3%", "0.040%", "<0.001%")
    assert decimals(0.125) == "0.13"
    assert best_class([0.25, 0.375, 0.375], ["bag", "boot", "coat"]) == "boot 37.5%"
    assert patch_name(9, 7) == "patch 9 (row 1, column 2)"
    assert decimals(2.25, 1) == "2.3"
    assert [one_or_two_decimals(one) for one in (0.1 + 0.2, 0.25, 5, 10)] == ["0.3", "0.25", "5.0", "10.0"]


def test_from_a_thousand_on_numbers_have_a_comma_as_in_the_browser():
    assert patch_name(3135, 56) == "patch 3,135 (row 55, column 55)"
    assert [decimals(one) for one in (999.994, 999.996, -1234567.5)] == ["999.99", "1,000.00", "-1,234,567.50"]


def test_of_many_classes_the_most_probable_are_shown():
    assert shown_classes(np.ones(3) / 3) == [0, 1, 2]
    probabilities = np.linspace(0, 1, 12)
    assert shown_classes(probabilities) == list(range(2, 12))
    assert shown_classes(probabilities[::-1]) == list(range(10))


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (np.zeros((3, 4, 4)), "image holds float64, not uint8"),
        (np.zeros((2, 4, 4), np.uint8), "image has shape [2, 4, 4]"),
        (np.zeros((1, 3, 4, 4), np.uint8), "image has shape [1, 3, 4, 4]"),
    ],
)
def test_a_picture_of_another_kind_is_refused(image, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        as_picture(image)


SHUFFLED = {"order": "shuffled", "reassembly": "row by row"}
EXPLORERS = {
    "colour": lambda: PatchLab({"cat": picture(56, 56), "grey": picture(28, 28, 1)}, 7, **SHUFFLED),
    "one large patch": lambda: PatchLab(picture(8, 16, 1)[0], 8),
    "pixels as patches": lambda: PatchLab(picture(80, 80), 1),
    "class token": lambda: AttentionLab(picture(), random_maps(), 3, class_names=["a", "b"], prediction=[0.25, 0.75]),
    "patch": lambda: AttentionLab(picture(12, 18, 1), random_maps(tokens=6), (2, 3), 0, query=4, head=1),
}


@pytest.mark.parametrize("name", EXPLORERS)
def test_a_still_picture_with_alt_text_stands_behind_the_widget(name):
    lab = EXPLORERS[name]()
    check_still_picture(lab)
    assert lab.words() == lab.state().words


def test_the_still_picture_follows_the_state():
    lab = PatchLab(picture(), 4)
    before = lab._repr_mimebundle_()[0]
    assert lab._repr_mimebundle_()[0]["text/html"] == before["text/html"]
    lab.token = 5
    assert lab._repr_mimebundle_()[0]["text/html"] != before["text/html"]
    assert repr(lab) == "PatchLab('picture', patch_size=4, order='row by row')"


def test_alt_text_cannot_break_out_of_the_page(monkeypatch):
    lab = PatchLab(picture(), 4)
    monkeypatch.setattr(lab, "words", lambda: '"><b>')
    assert '<img alt="&quot;&gt;&lt;b&gt;" src=' in lab._repr_mimebundle_()[0]["text/html"]


def test_the_still_picture_leaves_pyplot_alone():
    code = (
        "import sys, numpy as np; from vit_tutorial.explore import PatchLab;"
        "PatchLab(np.zeros((28, 28), np.uint8), 7)._repr_mimebundle_();"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("lab", [PatchLab, AttentionLab])
def test_the_browser_gets_one_module_that_fetches_nothing(lab):
    assert lab._esm.count("export default") == 1
    for code in (lab._esm, lab._css.contents if hasattr(lab._css, "contents") else lab._css):
        assert not re.search(r"https?://|import\s|import\(|fetch\(", str(code))
