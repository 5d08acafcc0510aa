"""From an executed notebook to a lesson that reads well without a kernel."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping

import nbformat
import states
from host import Place
from nbformat import NotebookNode

WAIT = "Two explorers that move together; they need JavaScript."
READ_IT = (
    '<p class="vit-try">This is the web edition, for reading: explorers are alive, and below each piece of code stands '
    "what it gave. To run the code and to change it, get the folder of the course and type <code>make lab</code>.</p>"
)
TRY_IT = (
    '<p class="vit-try">Nothing runs on this page. To try it: <code>make lab</code> in the folder of the course opens '
    "JupyterLab. In one that is hosted for you, type <code>pip install -e .</code> in that folder first.</p>"
)
THERE = '<p class="vit-try">In JupyterLab, which <code>make lab</code> opens in the folder of the course:</p>'
LINK = re.compile(r"""(?<=href=["'])(\d\d_\w+)\.ipynb""")
HEADING = re.compile(r"\A# .+\n")
# Paragraphs on what one does in JupyterLab alone, by how they begin.
ONLY_THERE = (
    "**How to use this page.**",
    "If this box ended in `ModuleNotFoundError`",
    "If you see one line of text in place of a picture, run the box again.",
    "The solution is in the next box, folded.",
    "Now run the cell above the solution again",
)
# Paragraphs that ask to run something, by how they begin: before them stands where.
TO_BE_RUN = (
    "When one of your answers passes, the course remembers it",
    "Too long? Choose another preset above.",
    "Run the next two cells.",
)
PROGRESS = "my_progress()"  # what it shows is another's; a page keeps its reader's own
QUESTIONS = re.compile(r"\*\*\w+ questions\.\*\*")
LONG = 60  # characters, which fit on no phone
WIDEST_ROW = 120  # characters of a table; what is longer are words beside a name
COLUMNS = re.compile(r"\S {2,}\S")
PNG = re.compile(r'<img alt="[^"]*" src="data:image/png;base64,(?P<start>[A-Za-z0-9+/]{28})')
WIDE_FIGURE = 640  # pixels
READABLE = 0.75  # of a figure's size: its letters of 10 points are 10 pixels then


def lesson(notebook: NotebookNode, places: Mapping[str, Place]) -> NotebookNode:
    """Return the notebook as a page: explorers in their places, folds kept, the line on how to try an exercise.

    `places` are the saved explorers of this lesson, by cell.
    """
    cells: list[NotebookNode] = []
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if "navigation" in tags or "set-up" in tags or cell.source == PROGRESS:  # the page has its own, or needs none
            continue
        cells.append(cell)
        if cell.cell_type == "markdown":
            cell.source = HEADING.sub(rf"\g<0>\n{READ_IT}\n", with_questions(for_readers(cell.source)))
        else:
            if cell.id in places:
                put(places[cell.id], cell)
            change_shown(cell)
            break_sentences(cell)
        if "solution" in tags:
            cell.metadata = {
                "tags": [*tags, "hide-cell"],
                "mystnb": {"code_prompt_show": "Solution", "code_prompt_hide": "Solution"},
            }
        elif cell.metadata.get("jupyter", {}).get("source_hidden"):  # it only draws or tidies, or is an extra
            cell.metadata = {
                "tags": [*tags, "hide-input"],
                "mystnb": {"code_prompt_show": "Code", "code_prompt_hide": "Code"},
            }
        if "exercise" in tags:
            cells.append(nbformat.v4.new_markdown_cell(TRY_IT))
    return nbformat.from_dict({**notebook, "cells": cells})


def for_readers(text: str) -> str:
    """Leave out the paragraphs on what one does in JupyterLab alone; before one that asks to run something, say so."""
    parts = [part for part in text.split("\n\n") if not part.startswith(ONLY_THERE)]
    return "\n\n".join(f"{THERE}\n\n{part}" if part.startswith(TO_BE_RUN) else part for part in parts)


def with_questions(text: str) -> str:
    """Mark the folds of the questions at a lesson's end, so that the page can keep which were answered."""
    if (found := QUESTIONS.search(text)) is None:
        return text
    return text[: found.end()] + text[found.end() :].replace("<details>", '<details class="vit-question">')


def change_shown(cell: NotebookNode) -> None:
    """Let the links in what a cell shows lead to pages, as Sphinx does for those in the text, and mark wide figures."""
    for output in cell.outputs:
        if shown := output.get("data", {}).get("text/html"):
            output.data["text/html"] = PNG.sub(marked_if_wide, LINK.sub(r"\1.html", shown))


def marked_if_wide(image: re.Match) -> str:
    """Mark a figure whose words are too small to be read where it is as narrow as a phone, with the width it needs."""
    width = int.from_bytes(base64.b64decode(image["start"])[16:20])  # a PNG begins with 16 other bytes
    needed = max(WIDE_FIGURE, int(width * READABLE))
    mark = f'<img class="vit-wide" style="--vit-width: {needed}px" '
    return image[0].replace("<img ", mark, 1) if width >= WIDE_FIGURE else image[0]


def break_sentences(cell: NotebookNode) -> None:
    """Let a long sentence that a cell prints, such as a verdict, go on in the next line; rows of a table stay whole."""

    def shown(line: str) -> str:
        words = html.escape(line, quote=False)
        stays = len(line) <= LONG or (len(line) <= WIDEST_ROW and COLUMNS.search(line))
        return words if stays else f'<span class="vit-sentence">{words}</span>'

    for number, output in enumerate(cell.outputs):
        if output.output_type == "stream" and output.name == "stdout":
            lines = "\n".join(map(shown, output.text.removesuffix("\n").split("\n")))
            if "<span" in lines:
                page = f'<pre class="vit-printed">{lines}</pre>'
                cell.outputs[number] = nbformat.v4.new_output("display_data", {"text/html": page})


def put(place: Place, cell: NotebookNode) -> None:
    """Put a saved explorer where the cell shows its still picture, or, for a box of several, its text."""
    for output in cell.outputs:
        if "data" in output and (place.kept["picture"] == states.picture(output)):
            output.data = {"text/html": place.html(output.data.get("text/html", f"<p>{WAIT}</p>"))}
