"""Every lesson has the same bones: question, goals, explorers, claims, exercises, what to remember, and a quiz."""

import re
from pathlib import Path

import pytest

from vit_tutorial import explore

SOURCES = sorted((Path(__file__).parents[2] / "notebooks" / "source").glob("[0-9][0-9]_*.py"))
FIRST, LAST = 0, 11  # lesson 0 only looks ahead, and has no earlier one to ask about

PARTS = ("**The question.**", "**What you will do**", "**Time**", "## What to remember", "**Read on**")
GOALS, POINTS, EXERCISES = range(3, 6), range(5, 6), range(3, 7)
QUIZ_OF_BEGINNERS, QUIZ = "**Three questions.**", "**Five questions.** Three on this lesson, and two"

NUMBERED = re.compile(r"^(\d+)\. ", re.MULTILINE)
EXERCISE = re.compile(r"^## Exercise: (.+)$", re.MULTILINE)
SHOWN = re.compile(r"^(\w+)\(", re.MULTILINE)  # what a cell calls, and does not keep
HEADING = re.compile(r"^#+ .+$", re.MULTILINE)
KEY = re.compile(
    r"`[a-z0-9+-]`|[←→↑↓]|\b[Aa]rrow key|\b(?:left|right|up|down) arrow|\b(?:Page Up|Page Down|Home|End|Escape|Shift)\b"
)
KEYS = 2  # that are named before an explorer
STRAY_ITEM = re.compile(r"^[^#|\n].*\n(1[.)] .+)$", re.MULTILINE)  # in a paragraph Markdown makes a list of this line


def between(text, start, end):
    """Return what stands from `start` to the next `end`, or to the end of the text."""
    return text.partition(start)[2].partition(end)[0]


def bone_faults(notebook, lesson):
    """Return a sentence for each bone that the lesson of this number lacks, or has too many or too few of."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    faults = [f"{part!r} stands {text.count(part)} times" for part in PARTS if text.count(part) != 1]
    remember = between(text, "## What to remember", "\n## ")
    goals = NUMBERED.findall(between(text, "**What you will do**", "**Time**"))
    points = NUMBERED.findall(remember)
    exercises = [name for name in EXERCISE.findall(text) if not name.endswith("(an extra)")]
    wanted = {"goals": (goals, GOALS), "points to remember": (points, POINTS), "exercises": (exercises, EXERCISES)}
    if lesson == FIRST:
        del wanted["exercises"]
    for name, (found, allowed) in wanted.items():
        if len(found) not in allowed:
            faults.append(f"{len(found)} {name}, and not {allowed[0]} to {allowed[-1]}")
    quiz = QUIZ_OF_BEGINNERS if lesson == FIRST else QUIZ
    if quiz not in remember:
        faults.append(f"no quiz at the end that begins with {quiz!r}")
    tags = [tag for cell in notebook.cells for tag in cell.metadata.get("tags", [])]
    if lesson != FIRST and not any(tag.startswith("claim-") for tag in tags):
        faults.append("no claim is tested")
    shown = [name for cell in notebook.cells if cell.cell_type == "code" for name in SHOWN.findall(cell.source)]
    if not {*shown} & {*explore.__all__}:
        faults.append("no explorer is shown")
    if lesson != LAST and "**Next**" not in remember:
        faults.append("no bridge to the next lesson")
    return faults


def list_faults(notebook):
    """Return a sentence for each line of a paragraph that begins with "1." and so becomes the first item of a list."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return [f"{line!r} would become a list: break the line before it elsewhere" for line in STRAY_ITEM.findall(text)]


def key_faults(notebook):
    """Return a sentence for each explorer before which more than two keys are named, from the heading on.

    What stands right behind another explorer is about that one.
    """
    faults, keys, behind = [], set(), False
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            *before, text = HEADING.split(cell.source)
            if before:
                keys, behind = set(), False
            if not behind:
                keys |= {*KEY.findall(text)}
            behind = False
        elif shown := {*SHOWN.findall(cell.source)} & {*explore.__all__}:
            if len(keys) > KEYS:
                faults.append(f"before {shown.pop()} stand {', '.join(sorted(keys))}: keep all but {KEYS} for after it")
            keys, behind = set(), True
    return faults


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_a_lesson_has_its_bones(build, path):
    notebook = build.read_source(path, SOURCES)
    assert bone_faults(notebook, int(path.stem[:2])) + list_faults(notebook) + key_faults(notebook) == []


WHOLE = """# %% [markdown]
# **The question.** Why?
#
# **What you will do**
#
# 1. One.
# 2. Two.
# 3. Three.
#
# **Time**: 20 minutes. Then it goes on.

# %% tags=["claim-X"]
x = 1

# %%
PatchLab(pictures)

# %% [markdown]
# ## Exercise: one
#
# ## Exercise: two
#
# ## Exercise: three
#
# ## Exercise: four (an extra)
#
# ## What to remember
#
# 1. a
# 2. b
# 3. c
# 4. d
# 5. e
#
# **Five questions.** Three on this lesson, and two on others.
#
# **Next**: more.
#
# **Read on**: a book.
"""


def test_a_lesson_that_lacks_nothing_has_no_fault(build, write_source):
    path = write_source(WHOLE)
    notebook = build.read_source(path, [path])
    assert bone_faults(notebook, 5) + list_faults(notebook) == []


def test_a_line_of_a_paragraph_that_would_become_a_list_is_found(build, write_source):
    path = write_source(WHOLE.replace("Then it goes on.", "It trembles around\n# 1. That is\n# 2. less than 3."))
    (fault,) = list_faults(build.read_source(path, [path]))
    assert fault.startswith("'1. That is'")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        pytest.param("**The question.**", "**A question.**", "'**The question.**' stands 0 times", id="no question"),
        pytest.param("# 3. Three.\n", "", "2 goals, and not 3 to 5", id="two goals"),
        pytest.param("# 5. e\n", "", "4 points to remember, and not 5 to 5", id="four points"),
        pytest.param(": three", ": three (an extra)", "2 exercises, and not 3 to 6", id="two exercises"),
        pytest.param("and two on others", "", "no quiz at the end that begins with", id="no earlier ones"),
        pytest.param("claim-X", "X", "no claim is tested", id="no claim"),
        pytest.param("PatchLab(", "print(", "no explorer is shown", id="no explorer"),
        pytest.param("**Next**", "More", "no bridge to the next lesson", id="no bridge"),
    ],
)
def test_a_missing_bone_is_found(build, write_source, old, new, fault):
    assert WHOLE.count(old) == 1
    path = write_source(WHOLE.replace(old, new))
    (found,) = bone_faults(build.read_source(path, [path]), 5)
    assert found.startswith(fault)


@pytest.mark.parametrize(
    ("before", "named"),
    [
        ("Use the arrow keys, or `m`; then `m` once more.", None),
        ("`a`, `b` and `c` do much.\n#\n# ## Here\n#\n# Click it.", None),
        ("`a`, `b` and `c` do much.", "`a`, `b`, `c`"),
        ("Arrow keys choose, Page Up and Page Down raise and lower.", "Arrow key, Page Down, Page Up"),
        ("Press ← and →.\n\n# %% [markdown]\n# `+` warms it.", "`+`, ←, →"),
    ],
)
def test_more_than_two_keys_before_an_explorer_are_found(build, write_source, before, named):
    tasks = "# %% [markdown]\n# `d`, `e` and `f` do more.\n\n# %%\nPatchLab(pictures)"
    path = write_source(f"# %% [markdown]\n# {before}\n\n# %%\nPatchLab(pictures)\n\n{tasks}")
    sentence = f"before PatchLab stand {named}: keep all but 2 for after it"
    assert key_faults(build.read_source(path, [path])) == ([sentence] if named else [])
