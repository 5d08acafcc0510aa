"""What an explorer draws on its canvases, the colours of a part of the page, and where its parts begin."""

import io

import numpy as np
from explorers import contrast
from PIL import Image


def drawn(lab, canvas, action):
    """Do something, and return the texts and circles that are drawn on a canvas then, in its own CSS pixels.

    A text is {"text", "x", "y", "width", "most", "ink"}: `width` is its natural one, `most` that to which it is pressed
    if it is wider, or None. A circle is {"x", "y", "radius"}.
    """
    lab.page.evaluate(
        """canvas => {
            const pen = CanvasRenderingContext2D.prototype;
            pen.vitOwn ??= { fillText: pen.fillText, arc: pen.arc };
            window.vitDrawn = { texts: [], circles: [] };
            const { fillText, arc } = pen.vitOwn;
            pen.fillText = function (text, x, y, most) {
                const { width } = this.measureText(text);
                const told = { text, x, y, width, most: most ?? null, ink: this.fillStyle };
                if (this.canvas.matches(canvas)) window.vitDrawn.texts.push(told);
                if (most === undefined) fillText.call(this, text, x, y);
                else fillText.call(this, text, x, y, most);
            };
            pen.arc = function (x, y, radius, ...angles) {
                if (this.canvas.matches(canvas)) window.vitDrawn.circles.push({ x, y, radius });
                arc.call(this, x, y, radius, ...angles);
            };
        }""",
        canvas,
    )
    action()
    said = lab.page.evaluate("() => window.vitDrawn")
    return said["texts"], said["circles"]


def pressed(text):
    """How many times wider than its room a text would be."""
    return 1 if text["most"] is None else text["width"] / text["most"]


def seen(lab, part):
    """The colours of a part of the page, uint8 [H, W, 3]."""
    png = lab.page.locator(part).first.screenshot()
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def apart(one, other):
    """The contrast of two colours, each of three numbers."""
    return contrast(*("rgb({}, {}, {})".format(*(int(level) for level in colour)) for colour in (one, other)))


def tops(lab):
    """How far down the page each part of an explorer begins, by what it is; the words below all parts are left out."""
    return lab.page.locator(".vit-lab").evaluate(
        """root => [...root.querySelectorAll(":scope *:not(.vit-words, .vit-room > * + *, .vit-room > * + * *)")]
            .filter((one) => one.checkVisibility() && one.matches(
                "canvas, table, button, input, .vit-heading, .vit-note, .vit-answer, .vit-reading"))
            .map((one) => `${one.tagName} ${one.className} ${Math.round(one.getBoundingClientRect().top)}`)"""
    )
