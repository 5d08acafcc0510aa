"""From notebooks to pages: what a reader without a kernel finds, an explorer by its name, and where pages may go."""

import base64
import importlib.util
import io
import re
import shutil
from pathlib import Path

import host
import lessons
import nbformat
import pytest
from html_pages import mended, with_base
from PIL import Image
from sphinx.application import Sphinx

STILL = f'<figure><img alt="words"><figcaption>{host.states.STILL}</figcaption></figure>'


def code(source, tags=(), **data):
    outputs = [nbformat.v4.new_output("execute_result", data)] if data else []
    return nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)} if tags else {}, outputs=outputs)


def png(width):
    file = io.BytesIO()
    Image.new("L", (width, 10)).save(file, "png")
    return base64.b64encode(file.getvalue()).decode()


def page(*cells, places=None):
    return lessons.lesson(nbformat.v4.new_notebook(cells=list(cells)), places or {}).cells


def test_the_line_of_the_notebooks_leaves_room_for_that_of_the_pages():
    ends = [nbformat.v4.new_markdown_cell("[← before](00_a.ipynb)", metadata={"tags": ["navigation"]}) for _ in "12"]
    assert [cell.source for cell in page(ends[0], code("1"), ends[1])] == ["1"]


def test_below_the_title_a_page_says_what_it_is():
    first, second = page(*map(nbformat.v4.new_markdown_cell, ("# 1 · Title\n\nText.", "## Heading\n\nText.")))
    assert first.source == f"# 1 · Title\n\n{lessons.READ_IT}\n\nText."
    assert second.source == "## Heading\n\nText."


def test_what_can_be_run_in_jupyterlab_alone_says_so_or_is_left_out():
    again = "Now run the cell above the solution again: it trains.\n\nText."
    asked = "Text.\n\nRun the next two cells. In the second a bar shows how far it is."
    cells = page(nbformat.v4.new_markdown_cell(again), nbformat.v4.new_markdown_cell(asked), code("my_progress()"))
    assert [cell.source for cell in cells] == ["Text.", asked.replace("Run", f"{lessons.THERE}\n\nRun")]


def test_each_beginning_of_a_paragraph_that_is_treated_apart_is_in_a_lesson():
    sources = sorted((Path(lessons.__file__).parents[1] / "notebooks" / "source").glob("[0-9]*.py"))
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    for beginning in (*lessons.ONLY_THERE, *lessons.TO_BE_RUN, lessons.PROGRESS):
        assert f"\n# {beginning}" in text or f"\n{beginning}\n" in text, beginning


def test_a_figure_of_many_pixels_is_marked_as_wide():
    wide, narrow, wider = (f' alt="a" src="data:image/png;base64,{png(width)}">' for width in (640, 639, 1200))
    (cell,) = page(code("1", **{"text/html": f"<img{wide}<img{narrow}<img{wider}"}))
    mark = '<img class="vit-wide" style="--vit-width: {}px"'
    assert cell.outputs[0].data["text/html"] == f"{mark.format(640)}{wide}<img{narrow}{mark.format(900)}{wider}"


def test_a_solution_is_folded_and_an_exercise_says_how_to_try_it():
    stub, how, solution = page(code("...", ["exercise"]), code("1", ["solution"]))
    assert "make lab" in how.source
    assert "hide-cell" not in stub.metadata.tags
    assert solution.metadata.tags == ["solution", "hide-cell"]
    assert solution.metadata.mystnb["code_prompt_show"] == "Solution"


def test_code_that_is_folded_in_the_lesson_is_folded_on_the_page_and_what_it_shows_is_not():
    drawing = code("plots.show(figure)", ["extra"])
    drawing.metadata["jupyter"] = {"source_hidden": True}
    folded, plain = page(drawing, code("1"))
    assert folded.metadata.tags == ["extra", "hide-input"]
    assert folded.metadata.mystnb["code_prompt_show"] == "Code"
    assert "hide-input" not in plain.metadata.get("tags", [])


def test_a_long_sentence_that_is_printed_may_go_on_in_the_next_line_and_a_row_of_a_table_may_not():
    sentence, row = "verdict: TRUE that 1 < 2, " + "and so on " * 5, "| name" + "   12.5" * 12
    named = "yours:    " + "the mask leaves one query nothing " * 4
    printed = [("stdout", f"1 < 2\n{row}\n{sentence}\n{named}"), ("stdout", row), ("stderr", sentence)]
    cell = code("print()")
    cell.outputs = [nbformat.v4.new_output("stream", name=name, text=text) for name, text in printed]
    first, *others = page(cell)[0].outputs
    escaped = sentence.replace("<", "&lt;")
    assert first.data["text/html"] == (
        f'<pre class="vit-printed">1 &lt; 2\n{row}\n<span class="vit-sentence">{escaped}</span>\n'
        f'<span class="vit-sentence">{named}</span></pre>'
    )
    assert [(output.name, output.text) for output in others] == printed[1:]


def test_what_one_does_in_jupyterlab_alone_is_left_out():
    (cell,) = page(nbformat.v4.new_markdown_cell("One.\n\n**How to use this page.** Press\n**Shift+Enter**.\n\nTwo."))
    assert cell.source == "One.\n\nTwo."
    text = [
        part
        for path in host.NOTEBOOKS.glob("[0-9]*.ipynb")
        for cell in nbformat.read(path, as_version=4).cells
        for part in cell.source.split("\n\n")
    ]
    for beginning in lessons.ONLY_THERE:
        assert any(part.startswith(beginning) for part in text), beginning


def test_only_the_folds_of_the_last_questions_are_questions():
    hint = nbformat.v4.new_markdown_cell("<details><summary>Hint</summary>x</details>")
    last = nbformat.v4.new_markdown_cell(
        "<details>a</details>\n\n**Three questions.**\n\n<details>b</details>\n<details>c</details>"
    )
    assert [cell.source.count("vit-question") for cell in page(hint, last)] == [0, 2]
    assert page(last)[0].source.startswith("<details>a")


def test_links_in_what_a_cell_shows_lead_to_pages():
    (cell,) = page(code("1", **{"text/html": '<a href="00_start_here.ipynb#x">00_start_here.ipynb</a>'}))
    assert cell.outputs[0].data["text/html"] == '<a href="00_start_here.html#x">00_start_here.ipynb</a>'


def test_an_explorer_stands_where_its_still_picture_was():
    shown = code("Lab()", **{"text/plain": "Lab()", "text/html": STILL})
    kept = {
        "name": "patch_lab",
        "picture": host.states.picture(shown.outputs[0]),
        "links": [],
        "explorers": [{"view": "patch_lab", "state": {"_sent": {"pixels": {"array": "abc"}}}}],
    }
    place = host.Place("01_patches", shown.id, kept)
    shown.outputs.insert(0, nbformat.v4.new_output("stream", text="printed before\n"))
    (cell,) = page(shown, places={shown.id: place})
    html = cell.outputs[1].data["text/html"]
    assert 'data-needs="states/01_patches-patch_lab views/patch_lab arrays/abc"' in html
    assert '<img alt="words">' in html
    assert host.states.STILL not in html


def test_an_explorer_is_found_by_its_name_or_by_lesson_and_name():
    first = find("lens_lab")
    assert first.name == "08_looking_inside/lens_lab"
    assert find(first.name) == first
    assert find("08_looking_inside/lens_lab_2").cell != first.cell
    with pytest.raises(ValueError, match=r"no lesson has saved an explorer sketch; there are 00_start_here/\w+, "):
        find("sketch")


@pytest.fixture
def build(monkeypatch):
    """The module site/build.py, which finds MathJax everywhere."""
    found = importlib.util.spec_from_file_location("site_build", host.HERE / "build.py")
    found.loader.exec_module(module := importlib.util.module_from_spec(found))
    monkeypatch.setattr(module, "MATHJAX", host.HERE)
    return module


@pytest.fixture
def without_sphinx(build, monkeypatch):
    """Return a function that puts a folder of two files in the place of Sphinx, and says what Sphinx returns."""
    monkeypatch.setattr(build, "lay_out", Path.mkdir)
    monkeypatch.setattr(build, "lay_out_static", Path.mkdir)

    def put(failed):
        def write(options):
            explorers = Path(options[-1]) / build.EDITION
            explorers.mkdir(parents=True)
            (explorers / "new.js").touch()
            (Path(options[-1]) / "index.html").write_text("<html></html>")
            return failed

        monkeypatch.setattr(build, "build_main", write)

    return put


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_an_explorer_whose_state_is_missing_is_named_before_anything_is_made(build, tmp_path, monkeypatch, capsys):
    notebooks = tmp_path / "notebooks"
    (notebooks / "figures").mkdir(parents=True)
    shutil.copy(host.NOTEBOOKS / "02_class_token.ipynb", notebooks)
    monkeypatch.setattr(build, "NOTEBOOKS", notebooks)
    assert build.main([str(tmp_path / "site")]) == 1
    said = capsys.readouterr().err
    assert re.fullmatch(r"02_class_token: the explorer of the cell \w+ has no saved state; build .*afresh\n", said)
    assert list(tmp_path.iterdir()) == [notebooks]


@pytest.mark.parametrize("earlier", [(), ("old.html", "_static/explorers/old.js")])
def test_an_edition_takes_the_place_of_an_earlier_one(build, without_sphinx, tmp_path, earlier):
    without_sphinx(failed=0)
    for name in earlier:
        (tmp_path / "a" / "site" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "a" / "site" / name).touch()
    assert build.main([str(tmp_path / "a" / "site")]) == 0
    assert files(tmp_path) == ["a/site/_static/explorers/new.js", "a/site/index.html"]


def test_an_edition_that_fails_leaves_the_earlier_one(build, without_sphinx, tmp_path):
    without_sphinx(failed=2)
    (tmp_path / "site" / build.EDITION).mkdir(parents=True)
    (tmp_path / "site" / "index.html").write_text("as it was")
    assert build.main([str(tmp_path / "site")]) == 2
    assert (tmp_path / "site" / "index.html").read_text() == "as it was"
    assert files(tmp_path) == ["site/index.html"]


def test_what_is_no_edition_is_not_written_over(build, without_sphinx, tmp_path, monkeypatch, capsys):
    without_sphinx(failed=0)
    (tmp_path / "course").mkdir()
    (tmp_path / "course" / "mine.txt").write_text("mine")
    monkeypatch.setattr(build, "COURSE", tmp_path / "empty")
    (tmp_path / "empty").mkdir()
    refused = {
        "course": "something else than a web",
        "course/mine.txt": "is a file",
        "empty": "holds the course itself",
    }
    for name, sentence in refused.items():
        assert build.main([str(tmp_path / name)]) == 1
        assert sentence in capsys.readouterr().err
    assert files(tmp_path) == ["course/mine.txt"]


def find(name):
    return host.find(host.NOTEBOOKS, name)


@pytest.mark.slow
def test_the_directive_shows_an_explorer_and_refuses_what_is_none(tmp_path):
    def made(text):
        source, out = tmp_path / "source", tmp_path / "out"
        source.mkdir(exist_ok=True)
        (source / "index.md").write_text(f"# Title\n\n{text}\n")
        said = (tmp_path / "said").open("w")
        settings = {"extensions": ["myst_parser", "host"]}
        with said:
            Sphinx(source, None, out, tmp_path / "trees", "html", settings, status=None, warning=said).build()
        return (out / "index.html").read_text(), (tmp_path / "said").read_text()

    html, said = made("```{explorer} signal_lab\n```")
    assert said == ""
    assert re.search(r'<div class="vit-explorer" data-needs="states/06_encoder_block-signal_lab [^>]*><figure', html)
    assert "no lesson has saved an explorer nothing" in made("```{explorer} nothing\n```")[1]


def test_folds_buttons_and_empty_headings_are_named_by_the_words_that_are_seen():
    assert mended('<summary aria-label="Toggle hidden content"><p>Solution</p>') == "<summary><p>Solution</p>"
    button = '<button class="btn search-button-field" aria-label="Search" title="x">Search'
    assert mended(button) == '<button class="btn search-button-field" title="x">Search'
    assert mended('<th class="a"></th><th>b</th><thead></thead>') == '<td class="a"></td><th>b</th><thead></thead>'


def test_who_does_not_see_the_page_hears_where_they_are_and_what_is_code_output_or_a_menu():
    link = '<a class="current reference internal" href="#">1 · Patches</a>'
    assert mended(link) == '<a class="current reference internal" aria-current="page" href="#">1 · Patches</a>'
    for place, name in (
        ('div class="cell_input docutils container"', "Code"),
        ('div class="output stream highlight-myst-ansi notranslate"', "Output"),
        ('div class="output text_plain highlight-myst-ansi notranslate"', "Output"),
        ('pre class="vit-printed"', "Output"),
    ):
        assert mended(f"<{place}>") == f'<{place} role="group" aria-label="{name}">'
    for dialog, name in (
        ("pst-search-dialog", "Search"),
        ("pst-primary-sidebar-modal", "Menu"),
        ("pst-secondary-sidebar-modal", "Contents"),
    ):
        assert mended(f'<dialog id="{dialog}">') == f'<dialog id="{dialog}" aria-label="{name}">'
    assert mended('<div class="output text_html">') == '<div class="output text_html">', "what it shows has a name"


def test_a_page_whose_theme_no_script_chooses_is_light():
    assert mended('<html lang="en" data-theme="auto">') == '<html lang="en" data-theme="light">'


@pytest.mark.parametrize(("base", "href"), [("/course", "/course/"), ("", "/"), ("/a/", "/a/")])
def test_a_missing_page_leads_back_from_any_depth(base, href):
    assert with_base("<html><head><title>", base) == f'<html><head>\n    <base href="{href}"><title>'
