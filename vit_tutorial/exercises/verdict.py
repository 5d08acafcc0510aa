"""What a check found, in parts, and the two ways in which it is shown: plain text, and HTML in JupyterLab."""

import html
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

SIGNS = {"right": "✓", "wrong": "✗", "unwritten": "…"}
COLOURS = {"right": "#2e8b57", "wrong": "#d1495b", "unwritten": "#8c8c8c"}
PRE = "margin: 6px 0; padding: 0; white-space: pre-wrap; background: none; color: inherit"


@dataclass(frozen=True)
class Verdict:
    """What a check found. It prints itself as `message`; `passed` says yes or no, `diagnosis` what went wrong."""

    kind: Literal["right", "wrong", "unwritten"]
    title: str  # the name of the exercise, and the finding in one sentence
    lines: Sequence[str] = ()  # what was seen: input and output, or the line of code
    words: Sequence[str] = ()  # what that means
    below: Sequence[str] = ()  # what a learner looks up last: the input of a call that failed
    note: str = ""  # what does not concern the answer: the progress file cannot be written
    diagnosis: str = ""  # what went wrong, in words; it stands in the title or in the words too

    @property
    def passed(self) -> bool:
        """Whether the answer is right."""
        return self.kind == "right"

    @property
    def message(self) -> str:
        """What a learner reads, as plain text of one or several lines."""
        below = _indented([*self.lines, *self.words, *self.below])
        return "\n".join(part for part in (f"{SIGNS[self.kind]} {self.title}", below, self.note) if part)

    def __repr__(self) -> str:
        return self.message

    def _repr_html_(self) -> str:
        """Return the same words for JupyterLab: in the theme's own colours, with a bar that only repeats the sign."""
        title = _escaped(f"{SIGNS[self.kind]} {self.title}").replace("\n", "<br>")
        parts = [f'<div style="font-weight: 600">{title}</div>']
        parts += [_block(self.lines), *map(_line, self.words), _block(self.below), *map(_line, [self.note])]
        return f'<div style="border-left: 5px solid {COLOURS[self.kind]}; padding: 4px 12px">{"".join(parts)}</div>'


def _block(lines: Sequence[str]) -> str:
    return f'<pre style="{PRE}">{_escaped(_indented(lines))}</pre>' if lines else ""


def _line(sentence: str) -> str:
    return f"<div>{_escaped(sentence)}</div>" if sentence else ""


def _indented(lines: Sequence[str]) -> str:
    return textwrap.indent("\n".join(lines), "  ")


def _escaped(words: str) -> str:
    return html.escape(words, quote=False)
