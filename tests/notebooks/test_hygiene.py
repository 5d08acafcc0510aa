"""Every notebook agrees with its source, hides nothing without saying why, and reads well without eyes or network.

Each of its exercises has the same parts: difficulty and minutes, two hints, a stub with its check, a folded solution.
"""

import ast
import dis
import importlib
import importlib.util
import re
from pathlib import Path
from types import CodeType

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

from vit_tutorial.exercises import check
from vit_tutorial.exercises.progress import my_progress

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))

# How many cells of a lesson are not compared when the tests run it. Each of them says why in a comment.
UNCOMPARED_CELLS = {"00_start_here": 1, "11_train_on_a_gpu": 7}
UNCOMPARED_TAGS = {"nbval-ignore-output", "nbval-raises-exception", "nbval-skip", "raises-exception", "skip-execution"}
UNCOMPARED_COMMENT = re.compile(r"^#\s*(NBVAL_|PYTEST_VALIDATE)", re.MULTILINE)
REASON = re.compile(r"^# Not compared in the tests: \w+", re.MULTILINE)

MARKDOWN_IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)[^)]*\)")
MARKDOWN_LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
HTML_IMAGE = re.compile(r"<img\b[^>]*>", re.IGNORECASE)
ALT = re.compile(r"\balt=([\"'])(?P<words>.*?)\1", re.DOTALL)
CHECK = re.compile(r"^check\.(\w+)\((\w+)\)$", re.MULTILINE)
EFFORT = re.compile(r"^Difficulty (\d) of 5, about (\d+) minutes?\. ", re.MULTILINE)
IMPORTANCE = re.compile(r"^Difficulty \d of 5, about \d+ minutes?\. Importance [1-3] of 3\. ", re.MULTILINE)
QUIZ = re.compile(r"^\*\*(Three|Five) questions\.\*\*", re.MULTILINE)
HINT = re.compile(r"^<details><summary>Hint (\d)</summary>$", re.MULTILINE)
TIME = re.compile(r"^\*\*Time\*\*.*?\b(\d+) for the exercises", re.MULTILINE)
SOURCE = re.compile(r"\bsrc=([\"'])(?P<address>.*?)\1", re.DOTALL)


def cells(path, kind):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def hidden_cells(path):
    return [
        cell
        for cell in cells(path, "code")
        if UNCOMPARED_TAGS & set(cell.metadata.get("tags", [])) or UNCOMPARED_COMMENT.search(cell.source)
    ]


def says_something(words):
    return len(words.split()) >= 3


def picture_faults(markdown, outputs):
    """Return a sentence for each picture without words, or from another machine, in Markdown texts and outputs."""
    faults = []
    html = [output.get("data", {}).get("text/html", "") for output in outputs]
    for text in markdown:
        for alt, address in MARKDOWN_IMAGE.findall(text):
            if not says_something(alt):
                faults.append(f"the picture {address} has no alt text that describes it")
            if "//" in address:
                faults.append(f"the picture {address} is not in this repository")
    for tag in (tag for text in [*markdown, *html] for tag in HTML_IMAGE.findall(text)):
        alt, address = ALT.search(tag), SOURCE.search(tag)
        if alt is None or not says_something(alt["words"]):
            faults.append(f"a picture has no alt text that describes it: {tag[:80]}")
        if address and "//" in address["address"].split("base64,")[0]:
            faults.append(f"the picture {address['address'][:80]} is not in this repository")
    for output in outputs:
        bare = [mime for mime in output.get("data", {}) if mime.startswith("image/")]
        if bare and not HTML_IMAGE.search(output["data"].get("text/html", "")):
            faults.append(f"a picture ({bare[0]}) has no alt text: show it with vit_tutorial.plots.show")
    return faults


def link_faults(markdown, folder):
    """Return a sentence for each relative link that leads to no file."""
    links = {link.split("#")[0] for text in markdown for link in MARKDOWN_LINK.findall(text) if "//" not in link}
    return [f"{link} does not exist" for link in sorted(links) if link and not (folder / link).exists()]


def import_faults(code):
    """Return a sentence for each module, and each name of the course's own, that a cell imports in vain."""
    faults = []
    for node in ast.walk(ast.parse(TransformerManager().transform_cell(code))):
        if isinstance(node, ast.Import):
            modules = {alias.name: () for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules = {node.module: [alias.name for alias in node.names]}
        else:
            continue
        for module, names in modules.items():
            if importlib.util.find_spec(module.split(".")[0]) is None:
                faults.append(f"there is no module {module}")
            elif module.startswith("vit_tutorial"):
                owner = importlib.import_module(module)
                faults += [
                    f"{module} has no {name}"
                    for name in names
                    if not hasattr(owner, name) and importlib.util.find_spec(f"{module}.{name}") is None
                ]
    return faults


def counts(values):
    return isinstance(values, ast.GeneratorExp) and isinstance(values.elt, ast.Compare | ast.UnaryOp)


def mean_faults(code):
    """Return a sentence for each mean of floats that Python 3.11 and later ones may print with another last digit."""
    return [
        f"{ast.unparse(node)}: sum adds floats more exactly from Python 3.12 on; take statistics.fmean"
        for node in ast.walk(ast.parse(TransformerManager().transform_cell(code)))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and isinstance(node.left, ast.Call)
        if ast.unparse(node.left.func) == "sum" and not counts(node.left.args[0])
    ]


def is_tagged(cell, tag):
    return tag in cell.metadata.get("tags", [])


def defined_names(code):
    return {node.name for node in ast.parse(code).body if isinstance(node, ast.FunctionDef | ast.ClassDef)}


def exercises_of(all_cells):
    """Return (text before the stub, stub, solution or None) of each exercise; others may stand before the solution."""
    found = []
    for before, cell in zip([None, *all_cells], all_cells, strict=False):
        if is_tagged(cell, "exercise"):
            found.append([before.source if before else "", cell, None])
        elif is_tagged(cell, "solution") and found and found[-1][2] is None:
            found[-1][2] = cell
    return found


def exercise_faults(text, stub, solution):
    """Return a sentence for each part that one exercise lacks, or that says other things than its Exercise."""
    calls = CHECK.findall(stub.source)
    if len(calls) != 1 or not hasattr(check, calls[0][0]) or not stub.source.endswith(f"({calls[0][1]})"):
        return ["the cell of an exercise does not end with one call of its check, check.name(my_answer)"]
    name, mine = calls[0]
    exercise, faults = getattr(check, name), []
    efforts = [tuple(map(int, found)) for found in EFFORT.findall(text)]
    if not re.match(r"## Exercise: \S", text):
        faults.append(f"the text before {name} does not begin with '## Exercise: '")
    if efforts != [(exercise.difficulty, exercise.minutes)]:
        wanted = f"Difficulty {exercise.difficulty} of 5, about {exercise.minutes} minutes."
        faults.append(f"the text before {name} does not have one line that begins with '{wanted}'")
    if HINT.findall(text) != ["1", "2"] or text.count("</details>") < 2:
        faults.append(f"the text before {name} does not hold Hint 1 and Hint 2, each folded in <details>")
    if mine not in defined_names(stub.source):
        faults.append(f"the stub of {name} does not define {mine}")
    said = "".join(output.get("data", {}).get("text/plain", "") for output in stub.outputs)
    if not said.startswith(f"… {name}: not written yet"):
        faults.append(f"the stored output of {name} does not say that the stub is not written yet")
    if solution is None:
        return [*faults, f"no solution follows {name}"]
    if defined_names(solution.source) != defined_names(stub.source):
        faults.append(f"the solution of {name} does not define the names of the stub")
    if CHECK.findall(solution.source) != calls:
        faults.append(f"the solution of {name} does not end with the call of its check")
    return faults


def test_there_are_notebooks():
    assert PATHS
    assert PATHS[0].stem == "00_start_here"


def test_notebooks_agree_with_their_sources_and_keep_the_rules(build, capfd):
    assert build.main(["--check"]) == 0, capfd.readouterr().err


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_hidden_outputs_are_counted_and_explained(path):
    hidden = hidden_cells(path)
    assert len(hidden) == UNCOMPARED_CELLS.get(path.stem, 0), (
        "the number of cells that are not compared changed; set UNCOMPARED_CELLS if that is right"
    )
    unexplained = [cell.source for cell in hidden if not REASON.search(cell.source)]
    assert not unexplained, "a cell lacks its comment '# Not compared in the tests: (why)'"


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_pictures_are_local_and_have_alt_text(path):
    outputs = [output for cell in cells(path, "code") for output in cell.outputs]
    assert picture_faults([cell.source for cell in cells(path, "markdown")], outputs) == []


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_relative_links_lead_somewhere(path):
    assert link_faults([cell.source for cell in cells(path, "markdown")], NOTEBOOKS) == []


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_imports_are_there(path):
    assert [fault for cell in cells(path, "code") for fault in import_faults(cell.source)] == []


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_means_are_the_same_in_every_python(path):
    assert [fault for cell in cells(path, "code") for fault in mean_faults(cell.source)] == []


def test_a_mean_that_depends_on_python_is_seen():
    assert mean_faults("fmean(x)\nx.sum() / len(x)\nsum(x) * 2\nsum(a != b for a, b in x) / len(x)") == []
    (fault,) = mean_faults("print(f'{sum(x) / len(x):.1%}')")
    assert fault.startswith("sum(x) / len(x): sum adds floats")


def names_left(cells):
    """Return the names that cells leave behind; not those of imports, nor what lives in a function or in brackets."""
    names = set()

    def look(node):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                names.add(child.name)
            elif isinstance(child, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
                names.update(inner.target.id for inner in ast.walk(child) if isinstance(inner, ast.NamedExpr))
            else:
                if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
                    names.add(child.id)
                look(child)

    for cell in cells:
        look(ast.parse(TransformerManager().transform_cell(cell.source)))
    return names


def names_read(code):
    """Return the names of the notebook that compiled code reads; those of a function's or brackets' own are none."""
    names = {step.argval for step in dis.get_instructions(code) if step.opname in ("LOAD_NAME", "LOAD_GLOBAL")}
    return names.union(*map(names_read, codes_in(code)))


def codes_in(code):
    return [inner for inner in code.co_consts if isinstance(inner, CodeType)]


def names_needed(before, after):
    """Return the names that the cells after read of what was before, and those that functions need which they read."""
    functions = {inner.co_name: inner for cell in before for inner in codes_in(compiled(cell))}
    new, made = set(), set()
    for cell in after:
        made |= names_left([cell])
        new |= names_read(compiled(cell)) - made
    needed = set()
    while new:
        needed |= new
        new = set().union(*(names_read(functions[name]) for name in new & functions.keys())) - needed
    return needed


def compiled(cell):
    return compile(TransformerManager().transform_cell(cell.source), "cell", "exec")


TIDY_UP = re.compile(r'^used = """\n(?P<names>[^"]*)"""', re.MULTILINE)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_lesson_that_tidies_up_forgets_no_name(path):
    found = [cell for cell in cells(path, "code") if not is_tagged(cell, "set-up")]
    for place, cell in enumerate(found):
        if tidied := TIDY_UP.search(cell.source):
            due = names_left(found[:place]) - names_needed(found[:place], found[place + 1 :]) - {"_"}
            assert set(tidied["names"].split()) == due


def test_what_a_cell_leaves_behind_and_what_others_need_of_it():
    lines = ["import a", "b = [c for c in a if (d := c)]", "for e in b:", "    f = lambda g: g", "def h(i):"]
    cell = nbformat.v4.new_code_cell("\n".join([*lines, "    j = i + b", "with a as k:", "    a.l = 1"]))
    assert names_left([cell]) == {"b", "d", "e", "f", "h", "k"}
    later = ["def m(e):\n    return e", "d = 1\nm(d)\nh(1)", "print(d)"]
    assert names_needed([cell], map(nbformat.v4.new_code_cell, later)) == {"h", "b", "print"}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_exercises_have_all_their_parts(path):
    found = exercises_of(nbformat.read(path, as_version=4).cells)
    assert [fault for parts in found for fault in exercise_faults(*parts)] == []


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_exercises_of_a_lesson_are_those_of_its_notebook_each_once(path):
    stubs = [cell for cell in cells(path, "code") if is_tagged(cell, "exercise")]
    used = [name for cell in stubs for name, _ in CHECK.findall(cell.source)]
    wanted = [name for name in check.__all__ if getattr(check, name).lesson == path.stem]
    without = sorted(set(wanted) - set(used))
    assert not without, f"{without[0]} has no stub: write it in notebooks/source/{path.stem}.py, and make notebooks"
    assert sorted(used) == sorted(wanted)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_time_of_the_exercises_is_their_minutes_to_the_nearest_five(path):
    minutes = sum(getattr(check, name).minutes for name in check.__all__ if getattr(check, name).lesson == path.stem)
    said = [found for cell in cells(path, "markdown") for found in TIME.findall(cell.source)]
    assert said in ([], [str(5 * round(minutes / 5))]), f"the exercises of {path.stem} take {minutes} minutes together"


def importance_faults(texts):
    """Return a sentence for each exercise that says how important it is in other words, or alone does not say it."""
    said = [len(IMPORTANCE.findall(text)) for text in texts]
    return [
        f"{text.splitlines()[0]}: write 'Importance (1 to 3) of 3.' behind its minutes, once"
        for text, times in zip(texts, said, strict=True)
        if times != any(said) or text.count("Importance") != times
    ]


def quiz_faults(text):
    """Return a sentence if a quiz has not as many questions as it says, or if five mix in none of earlier lessons."""
    quiz = QUIZ.search(text)
    questions = re.findall(r"<summary>(.*?)</summary>", text[quiz.start() :] if quiz else "", re.DOTALL)
    wanted = {"Three": 3, "Five": 5}.get(quiz[1] if quiz else "", 0)
    earlier = sum(bool(re.search(r"\(lessons?\s\d", question)) for question in questions)
    if len(questions) != wanted:
        return [f"the quiz has {len(questions)} questions, and says {wanted}"]
    return [f"of five questions {earlier} name an earlier lesson; two should"] if wanted == 5 and earlier < 2 else []


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_lesson_says_how_important_its_exercises_are_of_all_or_of_none(path):
    assert importance_faults([text for text, _, _ in exercises_of(nbformat.read(path, as_version=4).cells)]) == []


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_quiz_has_the_questions_it_says_and_mixes_in_earlier_lessons(path):
    assert [fault for cell in cells(path, "markdown") for fault in quiz_faults(cell.source)] == []


def test_a_missing_importance_and_a_wrong_quiz_are_found():
    good = "## Exercise: count\n\nDifficulty 1 of 5, about 3 minutes. Importance 3 of 3. How many?"
    assert importance_faults([good, good]) == []
    assert importance_faults(["## Exercise: count\n\nDifficulty 1 of 5, about 3 minutes. How many?"]) == []
    for bad in (
        good.replace(" Importance 3 of 3.", ""),
        good.replace("3 of 3", "4 of 3"),
        good + " Importance 3 of 3.",
    ):
        assert len(importance_faults([good, bad])) == 1
    question, earlier = "<summary>Why?</summary>", "<summary>Why (lesson 2)?</summary>"
    assert quiz_faults("no quiz <summary>Hint 1</summary>") == []
    assert quiz_faults("**Five questions.**\n" + 3 * question + 2 * earlier) == []
    assert quiz_faults("**Five questions.**\n" + 4 * question + earlier) != []
    assert quiz_faults("**Three questions.**\n" + 4 * question) != []


def test_the_stored_table_of_progress_has_the_exercises_of_today(tmp_path, monkeypatch):
    monkeypatch.setenv("VIT_TUTORIAL_PROGRESS", str(tmp_path / "progress.json"))
    (cell,) = [cell for cell in cells(PATHS[0], "code") if cell.source == "my_progress()"]
    stored = cell.outputs[0].data["text/plain"]
    assert stored == repr(my_progress()), f"execute it again: make notebooks NAMES={PATHS[0].stem}"


def test_every_exercise_belongs_to_a_notebook():
    lessons = {path.stem for path in PATHS}
    assert [name for name in check.__all__ if getattr(check, name).lesson not in lessons] == []


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_every_solution_belongs_to_an_exercise(path):
    notebook = nbformat.read(path, as_version=4)
    solutions = [cell for cell in notebook.cells if is_tagged(cell, "solution")]
    assert solutions == [solution for _, _, solution in exercises_of(notebook.cells) if solution is not None]


@pytest.mark.parametrize(
    ("markdown", "output"),
    [
        ("![](figures/cat.png)", {}),
        ("![a cat in patches](https://example.org/cat.png)", {}),
        ("<img src='figures/cat.png'>", {}),
        ("<img alt='' src='figures/cat.png'>", {}),
        ("<img alt='a cat in patches' src='//example.org/cat.png'>", {}),
        ("", {"image/png": "AAAA", "text/plain": "<Figure size 640x480>"}),
        ("", {"text/html": "<img src='data:image/png;base64,AA//AA=='>"}),
    ],
)
def test_a_picture_without_words_or_from_elsewhere_is_seen(markdown, output):
    assert len(picture_faults([markdown], [{"data": output}])) == 1


def test_a_picture_with_words_is_accepted():
    image = "<img alt='a cat in patches' src='data:image/png;base64,AA//AA=='>"
    assert picture_faults(["![a cat in patches](figures/cat.png)"], [{"data": {"text/html": image}}]) == []


def test_a_dead_link_is_seen(tmp_path):
    (tmp_path / "01_a.ipynb").touch()
    text = "[one](01_a.ipynb#x) [two](02_b.ipynb) [paper](https://example.org/p) [here](#by-hand)"
    assert link_faults([text], tmp_path) == ["02_b.ipynb does not exist"]


def test_a_vain_import_is_seen():
    code = "%time 1\nimport no_such_thing\nimport torch\nfrom vit_tutorial import patches, patchify, padify"
    assert import_faults(code) == ["there is no module no_such_thing", "vit_tutorial has no padify"]


@pytest.mark.parametrize(
    "cell",
    [
        nbformat.v4.new_code_cell("x", metadata={"tags": ["nbval-skip"]}),
        nbformat.v4.new_code_cell("# NBVAL_IGNORE_OUTPUT\nx"),
        nbformat.v4.new_code_cell("#PYTEST_VALIDATE_IGNORE_OUTPUT\nx"),
    ],
)
def test_a_hidden_cell_is_seen(tmp_path, cell):
    path = tmp_path / "00_x.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1"), cell]), path)
    assert [hidden.source for hidden in hidden_cells(path)] == [cell.source]


GOOD_TEXT = """## Exercise: count

Difficulty 1 of 5, about 3 minutes. How many?

<details><summary>Hint 1</summary>

One.

</details>
<details><summary>Hint 2</summary>

Two.

</details>"""
GOOD_STUB = "def mine(image_size, patch_size): ...\n\n\ncheck.count_tokens(mine)"
GOOD_SOLUTION = "def mine(image_size, patch_size):\n    return 1\n\n\ncheck.count_tokens(mine)"


def an_exercise(text=GOOD_TEXT, stub=GOOD_STUB, solution=GOOD_SOLUTION, said="… count_tokens: not written yet"):
    output = nbformat.v4.new_output("execute_result", data={"text/plain": said})
    return [
        nbformat.v4.new_markdown_cell(text),
        nbformat.v4.new_code_cell(stub, outputs=[output], metadata={"tags": ["exercise"]}),
        nbformat.v4.new_markdown_cell("The solution:"),
        nbformat.v4.new_code_cell(solution, metadata={"tags": ["solution"] if solution else []}),
    ]


def test_a_whole_exercise_is_accepted():
    (parts,) = exercises_of(an_exercise())
    assert exercise_faults(*parts) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"text": GOOD_TEXT.replace("## Exercise: ", "## ")}, "does not begin with"),
        ({"text": GOOD_TEXT.replace("1 of 5", "2 of 5")}, "'Difficulty 1 of 5, about 3 minutes.'"),
        ({"text": GOOD_TEXT.replace("3 minutes", "4 minutes")}, "'Difficulty 1 of 5, about 3 minutes.'"),
        ({"text": GOOD_TEXT.replace("Hint 2", "Help")}, "does not hold Hint 1 and Hint 2"),
        ({"stub": "def mine(): ..."}, "does not end with one call"),
        ({"stub": GOOD_STUB + "\nprint(1)"}, "does not end with one call"),
        ({"stub": GOOD_STUB.replace("count_tokens", "count_fish")}, "does not end with one call"),
        ({"stub": GOOD_STUB.replace("def mine", "def other")}, "does not define mine"),
        ({"said": "✗ count_tokens: wrong"}, "does not say that the stub is not written yet"),
        ({"solution": ""}, "no solution follows count_tokens"),
        ({"solution": GOOD_SOLUTION.replace("mine", "solved")}, "does not define the names of the stub"),
        ({"solution": GOOD_SOLUTION.replace("check.count_tokens(mine)", "")}, "does not end with the call"),
    ],
)
def test_a_part_that_an_exercise_lacks_is_seen(change, fault):
    (parts,) = exercises_of(an_exercise(**change))
    assert fault in " ".join(exercise_faults(*parts))
