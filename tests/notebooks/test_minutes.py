"""A lesson takes a newcomer about as many minutes as it says, by a yardstick of words, lines, pictures and explorers.

Counted is what a first reader reads: no extras, no folded cells, and neither exercises nor the bug clinic, whose time
is that of the exercises. What a lesson keeps for a second reading is counted apart.
"""

import ast
import re
from pathlib import Path

import pytest
from IPython.core.inputtransformer2 import TransformerManager

from vit_tutorial import explore

SOURCES = sorted((Path(__file__).parents[2] / "notebooks" / "source").glob("[0-9][0-9]_*.py"))

WORDS_A_MINUTE = 200
MINUTES_A_LINE = 4 / 60
MINUTES_A_PICTURE = 0.5  # a table too
MINUTES_AN_EXPLORER = 3
MINUTES_OF_THE_QUIZ = 2
NEAR_SHARE, NEAR_MINUTES = 0.15, 5  # the larger of the two is allowed

TIME = re.compile(r"^\*\*Time\*\*: (\d+) minutes(?:, (\d+) more on a second reading)?", re.MULTILINE)
SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
OF_THE_EXERCISES = re.compile(r"Exercise: |(The bug|Bug) clinic|Tidy up before the exercises")
SECOND_READING = re.compile(r".* for a second reading$")
NOT_CORE = {"extra", "exercise", "solution", "set-up", "navigation"}

QUIZ = re.compile(r"^\*\*(?:Three|Five) questions\.\*\*(?:.|\n)*?(?=^\*\*|\Z)", re.MULTILINE)
FIGURE = re.compile(r"!\[[^\]]*\]\([^)]*\)")
TABLE = re.compile(r"(?:^\|.*\n?)+", re.MULTILINE)
NOT_PROSE = re.compile(r"\$\$.*?\$\$|\$[^$\n]+\$|</?\w+>|https?://\S+", re.DOTALL)
WORD = re.compile(r"[^\W_]+(?:[.,'’-][^\W_]+)*")
DRAWN = {"plots.show", "plots.draw_history", "plots.LiveCurves"}


def minutes_of_text(text):
    pictures = len(FIGURE.findall(text)) + len(TABLE.findall(text))
    quizzes = len(QUIZ.findall(text))
    for other in (QUIZ, FIGURE, TABLE, NOT_PROSE):
        text = other.sub(" ", text)
    words = len(WORD.findall(text))
    return words / WORDS_A_MINUTE + pictures * MINUTES_A_PICTURE + quizzes * MINUTES_OF_THE_QUIZ


def minutes_of_code(code, folded):
    """Return the minutes for the lines, unless they are folded, and for what the cell shows; a loop prints a table."""
    tree = ast.parse(TransformerManager().transform_cell(code))
    lines = 0 if folded else sum(bool(line.strip()) for line in code.splitlines())
    called = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    pictures = sum(name in DRAWN for name in called)
    pictures += any(isinstance(node, ast.For) and "print(" in ast.unparse(node) for node in ast.walk(tree))
    shown = [node.value for node in tree.body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)]
    explorers = sum(ast.unparse(call.func) in explore.__all__ for call in shown)
    return lines * MINUTES_A_LINE + pictures * MINUTES_A_PICTURE + explorers * MINUTES_AN_EXPLORER


def minutes(notebook):
    """Return the minutes of a first reading, and of what is kept for a second one."""
    first, second, section = 0, 0, ""
    for cell in notebook.cells:
        is_text = cell.cell_type == "markdown"
        if is_text and (found := SECTION.search(cell.source)):
            section = found[1]
        if OF_THE_EXERCISES.match(section) or NOT_CORE & set(cell.metadata.get("tags", [])):
            continue
        folded = cell.metadata.get("jupyter", {}).get("source_hidden", False)
        taken = minutes_of_text(cell.source) if is_text else minutes_of_code(cell.source, folded)
        if SECOND_READING.match(section):
            second += taken
        else:
            first += taken
    return first, second


def time_faults(notebook):
    """Return a sentence for each number of minutes that is far from what the yardstick finds."""
    claims = [found for cell in notebook.cells if cell.cell_type == "markdown" for found in TIME.findall(cell.source)]
    if len(claims) != 1:
        return ["the lesson does not say its time once, in a line that begins with '**Time**: NN minutes'"]
    faults = []
    for claimed, found, reading in zip(claims[0], minutes(notebook), ("first", "second"), strict=True):
        if abs(int(claimed or 0) - found) > max(NEAR_SHARE * found, NEAR_MINUTES):
            faults.append(
                f"the lesson says {claimed or 0} minutes for a {reading} reading, and the yardstick finds {found:.0f}: "
                f"write {5 * round(found / 5)}, or fold, shorten or mark as extra what the reader can do without"
            )
    return faults


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_a_lesson_takes_about_as_long_as_it_says(build, path):
    assert time_faults(build.read_source(path, SOURCES)) == []


TEXT, EXTRA = "# %% [markdown]\n", '# %% [markdown] tags=["extra"]\n'
WORDS = "# " + "word " * 200 + "\n"
LINES = "x = 1\n\n" * 15
DRAWING = 'plots.show(figure, alt="a line that rises")\n'
FOLDED = '# %% jupyter={"source_hidden": true}\n'


@pytest.mark.parametrize(
    ("cells", "first", "second"),
    [
        pytest.param(TEXT + WORDS, 1, 0, id="words"),
        pytest.param(TEXT + "# $$x = y$$\n#\n# ![a figure](figures/a.png)", 0.5, 0, id="a figure"),
        pytest.param(TEXT + "# | a | b |\n# |---|---|\n# | 1 | 2 |", 0.5, 0, id="a table"),
        pytest.param(TEXT + f"# **Three questions.** a\n{WORDS}#\n# **Next**: b", 2 + 2 / 200, 0, id="a quiz"),
        pytest.param("# %%\n" + LINES, 1, 0, id="lines"),
        pytest.param(FOLDED + LINES + DRAWING, 0.5, 0, id="a folded picture"),
        pytest.param(FOLDED + "for x in (1, 2):\n    print(x)", 0.5, 0, id="a printed table"),
        pytest.param(FOLDED + "PatchLab(pictures)", 3, 0, id="an explorer"),
        pytest.param(EXTRA + WORDS + '\n# %% tags=["extra"]\n' + LINES, 0, 0, id="an extra"),
        pytest.param(TEXT + "# ## Exercise: a\n" + WORDS + "\n# %%\n" + LINES, 0, 0, id="an exercise"),
        pytest.param(TEXT + "# ## The bug clinic\n" + WORDS + "\n# %%\n" + LINES, 0, 0, id="the bug clinic"),
        pytest.param(TEXT + "# ## More, for a second reading\n" + WORDS, 0, 1 + 5 / 200, id="a second reading"),
    ],
)
def test_the_yardstick(build, write_source, cells, first, second):
    path = write_source(cells)
    title = 2 / WORDS_A_MINUTE
    assert minutes(build.read_source(path, [path])) == pytest.approx((first + title, second))


@pytest.mark.parametrize(("claimed", "later", "times", "faults"), [(20, 0, 1, 0), (20, 0, 3, 1), (20, 10, 1, 1)])
def test_a_lesson_that_is_far_longer_or_shorter_than_it_says_is_found(
    build, write_source, claimed, later, times, faults
):
    head = TEXT + f"# **Time**: {claimed} minutes, {later} more on a second reading, and 5 for the exercises.\n\n"
    path = write_source(head + (TEXT + WORDS + "\n") * 20 * times)
    found = time_faults(build.read_source(path, [path]))
    assert len(found) == faults
    if times == 3:
        assert "says 20 minutes for a first reading, and the yardstick finds 60: write 60, or fold" in found[0]


def test_a_lesson_that_does_not_say_its_time_is_found(build, write_source):
    path = write_source(TEXT + WORDS)
    assert "does not say its time" in time_faults(build.read_source(path, [path]))[0]
