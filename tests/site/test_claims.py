"""The page of claims: each sentence, verdict and number on it is a notebook's own, and every claim is there."""

import ast
from collections import Counter
from pathlib import Path

import claims
import nbformat
import pytest
from nbformat import v4

from vit_tutorial.evidence import FALSE, NOT_SHOWN, TRUE

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "notebooks"
PATHS = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))

# Claims that take more than one cell of a lesson, and why.
SEVERAL = {
    ("04_scaled_dot_product_attention", "claim-A2"): "random vectors by the numbers, then trainings",
    ("06_encoder_block", "claim-B5"): "what the norms do to the sums, then trainings with small batches",
    ("07_vision_transformer", "claim-V3"): "the steps of a model, then the numbers that notes have",
}


@pytest.fixture
def write_lesson(tmp_path):
    """Return a function that writes a lesson of one heading and tagged cells with what they printed."""

    def write(heading, *printed, name="01_one", picture=""):
        cells = [v4.new_markdown_cell("# 1 · One: a lesson"), v4.new_markdown_cell(heading)]
        for text in printed:
            shown = [v4.new_output("stream", name="stdout", text=text)]
            if picture:
                shown.append(v4.new_output("display_data", data={"text/html": picture}))
            cells.append(v4.new_code_cell("run()", outputs=shown, metadata={"tags": ["claim-X"]}))
        path = tmp_path / f"{name}.ipynb"
        nbformat.write(v4.new_notebook(cells=cells), path)
        return path

    return write


def code_cells(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


# --- The stored notebooks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_each_tagged_cell_has_a_sentence_and_a_verdict(path):
    tagged = Counter(tag for cell in code_cells(path) for tag in cell.metadata.get("tags", []) if "claim" in tag)
    found = Counter(tag for claim in claims.claims_of(path) for tag in claim.tags)  # raises where one is missing
    assert found == tagged


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_claim_is_tagged_once_in_a_lesson_or_says_why_not(path):
    counts = Counter(tag for claim in claims.claims_of(path) for tag in claim.tags)
    assert {(path.stem, tag) for tag, count in counts.items() if count > 1} == {
        key for key in SEVERAL if key[0] == path.stem
    }


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_each_heading_that_quotes_has_a_tagged_cell(headings, path):
    quotes = [words for words in headings(path).values() if words[0] in '"“']
    assert quotes == [claim.sentence for claim in claims.claims_of(path)]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_no_cell_writes_a_verdict_by_hand(path):
    for cell in code_cells(path):
        texts = [node.value for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Constant)]
        written = [text for text in texts if isinstance(text, str) and any(w in text for w in (TRUE, FALSE, NOT_SHOWN))]
        assert not written, "a verdict is computed by vit_tutorial.evidence, never written"


def test_the_page_has_every_sentence_once_and_links_to_headings_that_exist(headings):
    page = claims.claims_page(NOTEBOOKS)
    sentences = [line.removeprefix("### ") for line in page.splitlines() if line.startswith("### ")]
    said = {claim.sentence for path in PATHS for claim in claims.claims_of(path)}
    assert sorted(sentences) == sorted(said)
    anchors = {path.name: headings(path) for path in PATHS}
    for path in PATHS:
        for claim in claims.claims_of(path):
            assert f"({path.name}#{claim.anchor})" in page
            assert anchors[path.name][claim.anchor] == claim.sentence
    assert "claim-" not in page, "an id is a riddle to a visitor"


def test_the_counts_of_the_opening_are_those_of_the_page():
    page = claims.claims_page(NOTEBOOKS)
    counts = [part.count("\n### ") for part in page.split("\n## ")[1:]]
    assert f"Here are {sum(counts)} of them" in page
    for count, (_, words) in zip(counts, claims.GROUPS.values(), strict=True):
        assert f"**{count}** {words}" in page


# --- Made-up notebooks -----------------------------------------------------------------------------------------------


def test_a_cell_without_a_sentence_is_refused(write_lesson):
    with pytest.raises(ValueError, match="claim-X stands under 'Claims'"):
        claims.claims_of(write_lesson("## Claims", "verdict: TRUE that it is so"))


@pytest.mark.parametrize("printed", ["it is so", "my verdict: TRUE that it is so", "verdict: MAYBE that it is so", ""])
def test_a_cell_without_a_verdict_is_refused(write_lesson, printed):
    with pytest.raises(ValueError, match="claim-X prints no verdict"):
        claims.claims_of(write_lesson('### "It is so"', printed))


@pytest.mark.parametrize(
    ("printed", "outcome"),
    [
        (("verdict: TRUE that a",), "TRUE"),
        (("verdict: FALSE that a",), "FALSE"),
        (("verdict: NOT SHOWN that a; at one learning rate",), "NOT SHOWN"),
        (("verdict: TRUE IF a (FALSE: b) that c",), "IT DEPENDS"),
        (("verdict: TRUE that a\nverdict: FALSE that b",), "IT DEPENDS"),
        (("verdict: TRUE that a", "verdict: NOT SHOWN that b"), "IT DEPENDS"),
        (("verdict: TRUE that a", "verdict: TRUE that b"), "TRUE"),
    ],
)
def test_all_verdicts_on_a_sentence_decide_its_group(write_lesson, printed, outcome):
    path = write_lesson('### "It is so"', *printed)
    assert claims.outcome(claims.claims_of(path)) == outcome
    assert f'## {claims.GROUPS[outcome][0]}\n\n### "It is so"\n' in claims.claims_page(path.parent)


def test_a_verdict_comes_with_the_interval_above_it_and_with_no_other_line(write_lesson):
    printed = "made by: me\na minus b: +2.0 points, 95% interval +1.0 to +3.0 (3 seeds)\nverdict: TRUE that a wins"
    (claim,) = claims.claims_of(write_lesson('### "It is so"', printed))
    (verdict,) = claim.verdicts
    assert (verdict.word, verdict.claim) == ("TRUE", "a wins")
    assert verdict.numbers == ("a minus b: +2.0 points, 95% interval +1.0 to +3.0 (3 seeds)",)


def test_the_figure_is_the_last_one_up_to_the_cell(write_lesson):
    figure = '<figure><img alt="A line."\n src="data:image/png;base64,AA=="></figure>'
    page = claims.claims_page(write_lesson('### "It is so"', "verdict: TRUE that a", picture=figure).parent)
    assert '<figure><img alt="A line." src="data:image/png;base64,AA=="></figure>' in page


def test_of_several_figures_of_a_cell_it_is_the_last_too():
    shown = [v4.new_output("display_data", data={"text/html": f"<figure>{name}</figure>"}) for name in ("one", "two")]
    assert claims.picture(v4.new_code_cell("run()", outputs=shown)) == "<figure>two</figure>"


def test_what_was_printed_is_not_read_as_markdown(write_lesson):
    page = claims.claims_page(write_lesson('### "It is so"', "verdict: TRUE that a*b < [c] | $d").parent)
    assert r"**TRUE** that a\*b &lt; \[c\] \| \$d" in page


def test_one_sentence_in_two_lessons_stands_once_with_both_links(write_lesson):
    for name in ("01_one", "02_two"):
        path = write_lesson('### "It is so"', "verdict: TRUE that a", name=name)
    page = claims.claims_page(path.parent)
    assert page.count('### "It is so"') == 1
    assert "(01_one.ipynb#it-is-so)" in page
    assert "(02_two.ipynb#it-is-so)" in page
