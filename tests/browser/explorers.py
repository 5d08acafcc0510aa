"""What the browser tests of all explorers ask of one: its words, its pixels, its kernel, its names and colours."""

import hashlib
import re
import time

import numpy as np

PICTURE = "canvas[role=application]"
NOISE = np.random.default_rng(0).integers(0, 256, (3, 32, 32), dtype=np.uint8)
GREY_NOISE = np.random.default_rng(1).integers(0, 256, (28, 28), dtype=np.uint8)
PICTURES = """
import numpy as np
random = np.random.default_rng(0)
picture = random.integers(0, 256, (3, 32, 32), dtype=np.uint8)
small = random.integers(0, 256, (28, 28), dtype=np.uint8)
"""


def words(lab, number=0):
    """What the explorer says it shows; `number` counts the explorers of a notebook."""
    return lab.page.locator(PICTURE).nth(number).get_attribute("aria-label")


def pixels(lab, canvas=PICTURE):
    """A fingerprint of what a canvas shows."""
    return hashlib.sha256(lab.page.locator(canvas).evaluate("canvas => canvas.toDataURL()").encode()).hexdigest()


def reacts(lab, action, canvases=(PICTURE,)):
    """Do something, and return the new words after checking that words and pictures have changed."""
    before = words(lab), [pixels(lab, canvas) for canvas in canvases]
    action()
    lab.page.wait_for_function(
        "([canvas, before]) => document.querySelector(canvas).getAttribute('aria-label') !== before",
        arg=[PICTURE, before[0]],
        timeout=30_000,
    )
    for canvas, old in zip(canvases, before[1], strict=True):
        assert pixels(lab, canvas) != old, canvas
    return words(lab)


def press(lab, key, canvases=(PICTURE,)):
    """Press a key, and see these canvases and the words follow, as `reacts` does."""
    return reacts(lab, lambda: lab.page.keyboard.press(key), canvases)


def wait_for_words(lab, expected):
    """Wait until the explorer says this."""
    lab.page.wait_for_function(
        "([canvas, text]) => document.querySelector(canvas).getAttribute('aria-label') === text",
        arg=[PICTURE, expected],
        timeout=30_000,
    )


def record_words(lab):
    """From now on keep all that the explorer says; the function that is returned tells it."""
    lab.page.evaluate(
        """canvas => {
            window.vitSaid = [];
            const element = document.querySelector(canvas);
            new MutationObserver(() => window.vitSaid.push(element.getAttribute("aria-label")))
                .observe(element, { attributes: true, attributeFilter: ["aria-label"] });
        }""",
        PICTURE,
    )
    return lambda: lab.page.evaluate("() => window.vitSaid")


def record_letters(lab):
    """From now on keep what is written on canvases that are seen; the function that is returned tells it once.

    Each is a dictionary: the text, its size in CSS pixels of the page, the number and the width of its canvas, and its
    box [left, top, right, bottom] there, in the canvas' own pixels.
    """
    lab.page.evaluate(
        """() => {
            window.vitLetters = [];
            const write = CanvasRenderingContext2D.prototype.fillText;
            CanvasRenderingContext2D.prototype.fillText = function (text, x, y, ...most) {
                const scale = this.canvas.getBoundingClientRect().width / this.canvas.vitWidth;
                const size = parseFloat(/([0-9.]+)px/.exec(this.font)[1]);
                const wide = Math.min(this.measureText(text).width, most[0] ?? Infinity);
                const { e, f } = this.getTransform(); // where the drawing begins
                const [right, down] = [e, f].map((moved) => moved / this.canvas.vitSharp);
                const left = right + x - wide * { left: 0, start: 0, center: 0.5, right: 1, end: 1 }[this.textAlign];
                const box = [left, down + y - size / 2, left + wide, down + y + size / 2];
                const number = [...document.querySelectorAll("canvas")].indexOf(this.canvas);
                const canvas = { number, width: this.canvas.vitWidth };
                if (scale) window.vitLetters.push({ text, size: size * scale, box, canvas });
                if (!window.vitMuted?.test(text)) write.call(this, text, x, y, ...most);
            };
        }"""
    )
    return lambda: lab.page.evaluate("() => window.vitLetters.splice(0)")


def kernel_says(lab, expression):
    """The text that the kernel prints for an expression, sent beside the notebook's cells.

    A kernel that has just met an error drops what comes next ("aborted"): then it is asked again.
    """
    return lab.page.evaluate(
        """async (code) => {
            const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
            for (;;) {
                let said = "";
                const future = kernel.requestExecute({ code, silent: false });
                future.onIOPub = (message) => {
                    if (message.header.msg_type === "stream") said += message.content.text;
                };
                const { status, evalue } = (await future.done).content;
                if (status === "ok") return said;
                if (status === "error") throw new Error(evalue);
            }
        }""",
        f"print({expression}, end='')",
    )


def assert_kernel_says(lab, expression, expected):
    """The kernel hears of a change a moment after the page shows it, so it is asked until it has."""
    ends = time.monotonic() + 20
    while (said := kernel_says(lab, expression)) != expected and time.monotonic() < ends:
        lab.page.wait_for_timeout(100)
    assert said == expected


def check_named_and_readable(lab, theme, number=0):
    """Controls and tables have names, sliders say units, and the text stands out from an opaque ground of the theme."""
    root = lab.page.locator(".vit-lab").nth(number)
    unnamed = root.evaluate(
        """root => Array.from(root.querySelectorAll("input, select, button, canvas, table")).filter(control =>
            !(control.labels?.length || control.getAttribute("aria-label") || control.getAttribute("aria-hidden")
              || (control.tagName !== "TABLE" && control.textContent.trim())
              || document.getElementById(control.getAttribute("aria-labelledby")))).map(control => control.outerHTML)"""
    )
    assert unnamed == []
    half_said = root.evaluate(
        """root => Array.from(root.querySelectorAll("input[type=range]:not([aria-valuetext])")).filter(slider => {
            const said = slider.closest(".vit-field").querySelector("output").textContent; // nothing before it is drawn
            return said && said.replace(/ \\(.+\\)$/, "") !== slider.value;
        }).map(slider => slider.outerHTML)"""
    )
    assert half_said == [], "their value has a unit beside them"
    text, paper = root.evaluate("root => [getComputedStyle(root).color, getComputedStyle(root).backgroundColor]")
    assert contrast(text, paper) > 7
    assert (luminance(paper) < 0.2) == (theme == "dark")


def luminance(colour):
    """Relative luminance of `rgb(...)` after WCAG 2, 0 to 1; the colour must be opaque."""
    numbers = [float(number) for number in re.findall(r"[\d.]+", colour)]
    assert len(numbers) == 3 or numbers[3] >= 0.85, f"{colour} lets the page shine through"
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in np.array(numbers[:3]) / 255]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def contrast(one, other):
    light, dark = sorted([luminance(one), luminance(other)], reverse=True)
    return (light + 0.05) / (dark + 0.05)
