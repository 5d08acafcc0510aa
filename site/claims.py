"""The page "What people say about ViT, tested", made from the executed notebooks and from nothing else.

A cell with a tag `claim-…` holds the evidence on a sentence that people say. The sentence is the heading above the
cell, in quotation marks. The verdict is what the cell printed: each line that begins with `verdict: `, and the numbers
right above it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import nbformat
from contents import HEADING, LESSONS, TITLE, heading_anchor, words_of
from nbformat import NotebookNode

TAG = "claim-"
VERDICT = re.compile(r"^verdict: (TRUE IF (?:.+?) \((?:.+?)\)|TRUE|FALSE|NOT SHOWN) that (.+)$")
NUMBERS = re.compile(r"% interval ")
PICTURE = re.compile(r"<figure\b.*?</figure>", re.DOTALL)

GROUPS = {
    "FALSE": ("Often said, and wrong", "are wrong"),
    "IT DEPENDS": ("It depends", "hold on a condition, or in part"),
    "NOT SHOWN": ("Not shown, either way", "are not shown by what we measured"),
    "TRUE": ("True, and now there is a test", "are true"),
}

OPENING = """# What people say about ViT, tested

Notes, videos and courses repeat the same sentences about the Vision Transformer. Here are {count} of them. Each was
run: {counted}.

No verdict is written by hand. A function computes it from what was measured, and this page is made from what the
lessons printed. Where there is chance, two things are compared seed by seed, with an interval for the mean difference.
*Not shown* means that the interval holds 0, or the limit that was asked for: neither right nor wrong, for all we know.
Each sentence leads to the lesson where the code stands that decided.
"""


@dataclass(frozen=True)
class Verdict:
    """One line that a cell printed, and the lines with intervals right above it."""

    word: str  # TRUE, FALSE, NOT SHOWN, or TRUE IF with its conditions
    claim: str
    numbers: tuple[str, ...] = ()


@dataclass
class Claim:
    """One sentence of one lesson, and what its cells found."""

    lesson: Path
    title: str
    sentence: str  # Markdown, in quotation marks
    anchor: str
    tags: list[str] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)
    picture: str = ""  # HTML, with words for those who do not see it


# --- From notebooks to claims ----------------------------------------------------------------------------------------


def claims_of(path: Path) -> list[Claim]:
    """Find the claims of one executed notebook, in its order.

    Raises ValueError if a tagged cell stands under no heading in quotation marks, or has printed no verdict.
    """
    notebook = nbformat.read(path, as_version=4)
    name = "{} · {}: {}".format(*TITLE.search(words_of(notebook)).groups())
    found: list[Claim] = []
    for heading, anchor, cells in sections(notebook):
        claim = Claim(path, name, heading, anchor)
        for cell in cells:
            tags = [tag for tag in cell.metadata.get("tags", []) if tag.startswith(TAG)]
            if tags or not claim.tags:
                claim.picture = picture(cell) or claim.picture
            if not tags:
                continue
            printed = "".join(output.get("text", "") for output in cell.outputs if output.get("name") == "stdout")
            verdicts = list(verdicts_in(printed))
            if not heading.startswith('"'):
                raise ValueError(
                    f"{path.stem}: {tags[0]} stands under {heading!r}; its heading has to be what people say"
                )
            if not verdicts:
                raise ValueError(f"{path.stem}: {tags[0]} prints no verdict; let vit_tutorial.evidence compute one")
            claim.tags += tags
            claim.verdicts += verdicts
            claim.printed.append(printed.strip("\n"))
        if claim.tags:
            found.append(claim)
    return found


def sections(notebook: NotebookNode) -> Iterator[tuple[str, str, list[NotebookNode]]]:
    """Yield each heading, its anchor and the code cells below it, down to the next heading."""
    heading, anchor, cells, seen = "", "", [], set()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cells.append(cell)
        for words in HEADING.findall(cell.source) if cell.cell_type == "markdown" else ():
            yield heading, anchor, cells
            heading, cells = words.strip(), []
            anchor = heading_anchor(heading, seen)
            seen.add(anchor)
    yield heading, anchor, cells


def verdicts_in(printed: str) -> Iterator[Verdict]:
    """Yield what a cell concluded; the numbers of a verdict are the lines with an interval right above it."""
    numbers: list[str] = []
    for line in printed.splitlines():
        if found := VERDICT.match(line):
            yield Verdict(found[1], found[2], tuple(numbers))
        numbers = [*numbers, " ".join(line.split())] if NUMBERS.search(line) else []


def picture(cell: NotebookNode) -> str:
    """Return the last figure that a cell shows, as one piece of HTML, or nothing."""
    shown = [PICTURE.search(output.get("data", {}).get("text/html", "")) for output in cell.outputs]
    return next((re.sub(r"\s*\n\s*", " ", figure[0]) for figure in reversed(shown) if figure), "")


# --- From claims to the page -----------------------------------------------------------------------------------------


def claims_page(notebooks: Path) -> str:
    """Return the page in MyST Markdown, from all executed notebooks of a folder."""
    said: dict[str, list[Claim]] = {}  # a sentence may be tested in several lessons
    for path in sorted(notebooks.glob(LESSONS)):
        for claim in claims_of(path):
            said.setdefault(claim.sentence, []).append(claim)
    groups = {word: [claims for claims in said.values() if outcome(claims) == word] for word in GROUPS}
    groups = {word: members for word, members in groups.items() if members}
    counted = [f"**{len(members)}** {GROUPS[word][1]}" for word, members in groups.items()]
    counted = ", ".join(counted[:-1]) + f", and {counted[-1]}" if len(counted) > 1 else counted[0]
    parts = [OPENING.format(count=len(said), counted=counted)]
    for word, members in groups.items():
        parts += [f"## {GROUPS[word][0]}\n", *map(entry, members)]
    return "\n".join(parts)


def outcome(claims: list[Claim]) -> str:
    """Return the one word that all verdicts on a sentence agree on, or that it depends."""
    words = {verdict.word for claim in claims for verdict in claim.verdicts}
    return words.pop() if len(words) == 1 and words <= set(GROUPS) else "IT DEPENDS"


def entry(claims: list[Claim]) -> str:
    """Return one sentence with its verdicts, the lessons that tested it, and what was measured, folded."""
    lines = [f"### {claims[0].sentence}", ""]
    for claim in claims:
        for verdict in claim.verdicts:
            lines += [f"**{plain(verdict.word)}** that {plain(verdict.claim)}", ""]
            lines += [*(f"- {plain(numbers)}" for numbers in verdict.numbers), ""] if verdict.numbers else []
        lines += [f"[Lesson {claim.title}]({claim.lesson.name}#{claim.anchor})", ""]
        lines += ["<details><summary>What was measured</summary>", ""]
        lines += [claim.picture, ""] if claim.picture else []
        for printed in claim.printed:
            lines += ["```text", printed, "```", ""]
        lines += ["</details>", ""]
    return "\n".join(lines)


def plain(text: str) -> str:
    """Keep Markdown from reading marks into what was printed."""
    return re.sub(r"([\\`*_\[\]$|~#])", r"\\\1", escape(text, quote=False))
