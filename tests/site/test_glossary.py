"""The pages that are not lessons: the glossary leads to what exists, and tables and map say what the notebooks say."""

import itertools
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import contents
import nbformat
import pytest
from nbformat import v4

ROOT = Path(__file__).parents[2]
NOTEBOOKS, PAGES = ROOT / "notebooks", ROOT / "site" / "pages"
PATHS = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
ENTRY = re.compile(
    r'^- \*\*(?P<term>.+?)\*\* <span lang="zh">(?P<chinese>.+?)</span>: (?P<sentence>.+\.) '
    r"\[Lesson (?P<number>\d+)\]\((?P<file>\w+\.ipynb)#(?P<anchor>\S+)\), `(?P<module>[\w/]+\.py)`$"
)
ENTRIES = [line for line in (PAGES / "glossary.md").read_text(encoding="utf-8").splitlines() if line.startswith("- ")]

# What the lessons set in bold where they introduce it, and a learner may want to look up.
INTRODUCED = (
    "activation patching", "attention distance", "augmentation", "batch", "class token", "CNN", "convolution",
    "cosine similarity", "cross-attention", "CutMix", "effective receptive field", "entropy", "epoch", "equivariant",
    "feature map", "gradient", "hybrid", "inductive bias", "invariant", "key", "learning rate", "linear probe",
    "logit lens", "logits", "mixup", "output projection", "patch embedding", "post-norm", "pre-norm", "query",
    "residual stream", "saturation", "value", "warm-up",
)  # fmt: skip
ALSO = ("dropout", "fine-tuning", "pre-training", "softmax", "stochastic depth")  # as "Dropout", where a line begins


@pytest.fixture(scope="module")
def anchors(headings):
    return {path.name: headings(path) for path in PATHS}


@pytest.fixture(scope="module")
def found():
    return contents.lessons(NOTEBOOKS)


def words_of(path):
    return "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown")


# --- The glossary ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ENTRIES, ids=lambda line: line[4:20])
def test_an_entry_is_a_term_twice_a_sentence_and_a_place_that_exists(anchors, line):
    entry = ENTRY.match(line)
    assert entry, f"not as the other entries: {line}"
    assert re.search("[\u4e00-\u9fff]", entry["chinese"])
    assert int(entry["number"]) == int(entry["file"][:2])
    assert entry["anchor"] in anchors[entry["file"]], f"{entry['file']} has no heading {entry['anchor']}"
    assert (ROOT / "vit_tutorial" / entry["module"]).exists()


def test_there_are_about_sixty_terms_each_once_and_in_order():
    terms = [ENTRY.match(line)["term"] for line in ENTRIES]
    assert 55 <= len(terms) <= 90
    assert len({term.casefold() for term in terms}) == len(terms)
    assert terms == sorted(terms, key=str.casefold)
    chinese = [ENTRY.match(line)["chinese"] for line in ENTRIES]
    assert len(set(chinese)) == len(chinese)


def test_what_the_lessons_introduce_in_bold_is_there():
    terms = {ENTRY.match(line)["term"] for line in ENTRIES}
    bold = {word.casefold() for path in PATHS for word in re.findall(r"\*\*([^*]+?)[.:]?\*\*", words_of(path))}
    for term in (*INTRODUCED, *ALSO):
        assert term in terms, f"the glossary has no {term}"
        assert term.casefold() in bold, f"no lesson introduces {term} in bold any more"


# --- What is made from the notebooks ---------------------------------------------------------------------------------


def test_the_table_has_every_lesson_with_its_minutes(found):
    rows = contents.lessons_table(found).splitlines()[2:]
    assert [lesson.file for lesson in found] == [path.name for path in PATHS]
    for lesson, path, row in zip(found, PATHS, rows, strict=False):
        assert f"]({path.name})" in row
        assert f"| {lesson.minutes} |" in row
        assert f"**Time**: {lesson.minutes} minutes" in words_of(path)
        assert f"# {lesson.number} · {lesson.title}: {lesson.about}" in words_of(path)


def test_the_map_shows_each_lesson_above_those_that_build_on_it(found):
    lines = contents.drawing(found).splitlines()
    svg = ET.fromstring("\n".join(lines[1:-1]))
    assert svg.get("role") == "img"
    assert svg.find("desc").text
    y = {text.text.split(" · ")[0]: float(text.get("y")) for text in svg.iter("text")}
    for lesson in found:
        assert all(y[str(need)] < y[str(lesson.number)] for need in lesson.needs)
        assert str(lesson.number) in y or not lesson.needs
    arrows = sum(map(len, contents.nearest_needs(found).values()))
    assert len(list(svg.iter("line"))) == arrows


def test_the_boxes_of_the_map_are_inside_and_apart(found):
    svg = ET.fromstring("\n".join(contents.drawing(found).splitlines()[1:-1]))
    _, _, width, height = map(float, svg.get("viewBox").split())
    boxes = [tuple(float(box.get(side)) for side in ("x", "y", "width", "height")) for box in svg.iter("rect")]
    assert all(x > 0 and y > 0 and x + w < width and y + h < height for x, y, w, h in boxes)
    for (x1, y1, w, h), (x2, y2, _, _) in itertools.combinations(boxes, 2):
        assert abs(x1 - x2) > w or abs(y1 - y2) > h


def test_the_pages_hold_no_mark_that_is_not_filled():
    for page in PAGES.glob("*.md"):
        text = contents.fill(page.read_text(encoding="utf-8"), NOTEBOOKS)
        assert "{{" not in text, page.name


def test_links_between_pages_lead_somewhere():
    made = {"claims.md", *(path.name for path in PATHS), *(page.name for page in PAGES.glob("*.md"))}
    for page in PAGES.glob("*.md"):
        links = re.findall(r"\]\(([\w.]+)[)#]", page.read_text(encoding="utf-8"))
        assert set(links) <= made, page.name


# --- One lesson, made up ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("needs", "numbers"),
    [
        ("lessons 1 to 3, and what softmax does", (1, 2, 3)),
        ("lesson 4 (queries, keys)", (4,)),
        ("lessons 4 and 5", (4, 5)),
        ("lesson 1, and what a gradient is", (1,)),
        ("Python", ()),
    ],
)
def test_what_a_lesson_needs_is_read_from_its_sentence(tmp_path, needs, numbers):
    text = f"# 9 · One: a lesson\n\n**Time**: 20 minutes. **You need**: {needs}. And more: lesson 8."
    exercise = "## Exercise: x\n\nDifficulty 1 of 5, about 3 minutes. Do it."
    path = tmp_path / "09_one.ipynb"
    nbformat.write(
        v4.new_notebook(
            cells=[v4.new_markdown_cell(text), v4.new_markdown_cell(exercise), v4.new_markdown_cell(exercise)]
        ),
        path,
    )
    lesson = contents.lesson_of(path)
    assert (lesson.number, lesson.title, lesson.about) == (9, "One", "a lesson")
    assert (lesson.minutes, lesson.exercises) == (20, 6)
    assert lesson.needs == numbers


def test_a_lesson_that_does_not_say_its_time_is_named(tmp_path):
    nbformat.write(v4.new_notebook(cells=[v4.new_markdown_cell("# 9 · One: a lesson")]), tmp_path / "09_one.ipynb")
    with pytest.raises(ValueError, match="09_one does not say its time"):
        contents.lessons(tmp_path)


def test_an_arrow_stands_only_where_no_other_way_leads():
    def lesson(number, *needs):
        return contents.Lesson(f"{number}.ipynb", number, "t", "a", 1, 1, needs, "")

    needs = contents.nearest_needs([lesson(1), lesson(2, 1), lesson(3, 1, 2), lesson(4, 1), lesson(5, 3, 4)])
    assert needs == {1: (), 2: (1,), 3: (2,), 4: (1,), 5: (3, 4)}


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ('"An H×W image gives N = HW/P² tokens"', "an-hw-image-gives-n--hwp²-tokens"),
        ("With `einops`: say what you *mean*", "with-einops-say-what-you-mean"),
        ("3 · bf16: fewer digits", "3--bf16-fewer-digits"),
        ("W_Q and $W_K$ too", "w_q-and--too"),
    ],
)
def test_anchors_are_those_of_github_and_myst(heading, anchor):
    assert contents.heading_anchor(heading) == anchor
    assert contents.heading_anchor(heading, {anchor}) == f"{anchor}-1"


def test_anchors_are_those_that_myst_makes(headings):
    tokens = pytest.importorskip("myst_parser.mdit_to_docutils.base")
    from markdown_it import MarkdownIt
    from markdown_it.tree import SyntaxTreeNode

    for path in PATHS:
        taken = set()
        for anchor, heading in headings(path).items():
            tree = SyntaxTreeNode(MarkdownIt().parse(f"# {heading}")).children[0]
            made = tokens.compute_unique_slug(tree, taken)
            taken.add(made)
            assert made == anchor
