"""One explorer on a blank page in headless Chromium, without JupyterLab or a kernel, and its twin in Python."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from explorers import PICTURE, words

from vit_tutorial.explore.base import Explorer

HOST = Path(__file__).parents[2] / "site" / "host.js"
ADDRESS = "http://explorer.test/"
SIZE = {"width": 1200, "height": 1400}
# JupyterLab's dark colours, of those that explore.css uses; light ones are what it falls back to.
DARK = {
    "--jp-layout-color0": "#111111",
    "--jp-layout-color1": "#212121",
    "--jp-layout-color2": "#424242",
    "--jp-ui-font-color1": "rgba(255, 255, 255, 0.87)",
    "--jp-border-color0": "#616161",
    "--jp-border-color2": "#424242",
    "--jp-brand-color1": "#2196f3",
}


def snapshot(lab: Explorer) -> dict[str, Any]:
    """An explorer as `mount` in site/host.js takes it: its state, with bytes in base 64, its module and its style."""

    def encoded(value):
        if isinstance(value, (bytes, memoryview)):
            return {"base64": base64.b64encode(value).decode("ascii")}
        if isinstance(value, dict):
            return {name: encoded(inner) for name, inner in value.items()}
        return [encoded(inner) for inner in value] if isinstance(value, (list, tuple)) else value

    sent = lab.get_state()
    module, style = sent.pop("_esm"), sent.pop("_css")
    hidden = ("_model", "_view", "_dom", "_anywidget")
    other = ("layout", "tabbable", "tooltip", "comm")
    state = {name: encoded(value) for name, value in sent.items() if not name.startswith(hidden) and name not in other}
    return {"state": state, "esm": module, "css": style}


class ExplorerWindow:
    """What the pages of explorers share: a window's size, one blank page at `ADDRESS`, and no network.

    A page is used again, with all that was on it gone: to open and close one costs more than most tests do there.
    """

    def __init__(self, browser):
        self.context = browser.new_context(viewport=SIZE, reduced_motion="reduce")
        self.context.set_default_timeout(60_000)  # only a failure waits so long, and a busy machine
        blank = '<!doctype html><meta charset="utf-8"><body><div id="root">'
        self.context.route(ADDRESS, lambda route: route.fulfill(body=blank, content_type="text/html"))
        self.free: list[Any] = []

    def page(self) -> Any:
        """A page that shows no explorer, and whose clock goes: a stopped one stands still in all pages of a window."""
        page = self.free.pop() if self.free else self.context.new_page()
        page.goto(ADDRESS)
        assert "native code" in page.evaluate("() => String(requestAnimationFrame)"), "use show_alone to stop the clock"
        return page


class ExplorerPage:
    """An explorer on a page of its own; `lab` is its twin in Python, which hears what a kernel would hear.

    `errors` and `foreign_requests` are filled by the browser while the page lives.
    """

    def __init__(self, window: ExplorerWindow, lab: Explorer, theme: str = "light"):
        self.lab = lab
        self.errors: list[str] = []
        self.foreign_requests: list[str] = []
        self.window = window
        self.page = window.page()
        self.page.route(lambda url: url != ADDRESS, self._refuse)
        self.page.on("console", self._note_console)
        self.page.on("pageerror", self._note_error)
        self.page.add_script_tag(path=HOST)
        self.page.evaluate(
            """async ([explorer, colours, light]) => {
                document.body.dataset.jpThemeLight = light;
                for (const [name, value] of Object.entries(colours)) document.body.style.setProperty(name, value);
                window.vitSent = [];
                const root = document.getElementById("root");
                window.vitModel = await vitExplorers.mount(root, explorer, (changes) => window.vitSent.push(changes));
            }""",
            [snapshot(lab), DARK if theme == "dark" else {}, str(theme == "light").lower()],
        )
        self.page.locator(PICTURE).wait_for(state="visible")

    def _note_console(self, said) -> None:
        if said.type == "error":
            self.errors.append(said.text)

    def _note_error(self, error) -> None:
        self.errors.append(str(error))

    def _refuse(self, route) -> None:
        self.foreign_requests.append(route.request.url)
        route.abort()

    def chosen(self) -> dict[str, Any]:
        """The choices as the page has them."""
        return self.page.evaluate(
            "names => Object.fromEntries(names.map((name) => [name, window.vitModel.get(name)]))", self._names()
        )

    def _names(self) -> list[str]:
        return list(self.lab.choice_names)

    def sent(self) -> list[dict[str, Any]]:
        """What a kernel would have heard since the last call, message by message."""
        return self.page.evaluate("() => window.vitSent.splice(0)")

    def follow(self) -> None:
        """Let the twin hear what the page did; check that it took it as it came, and that both say the same words."""
        for changes in self.sent():
            self.lab.set_state(changes)
        assert self.lab.choices() == self.chosen(), "the page sends all that follows from a choice"
        assert self.lab.words() == words(self)

    def set(self, **choices: Any) -> None:
        """Set choices from code, together, and let the page hear of all that changed."""
        before = self.lab.choices()
        with self.lab.hold_trait_notifications():
            for name, value in choices.items():
                setattr(self.lab, name, value)
        changed = {name: value for name, value in self.lab.choices().items() if value != before[name]}
        self.page.evaluate("changes => window.vitModel.receive(changes)", changed)

    def set_letters(self, size: int) -> None:
        """Give letters so many pixels, as the setting of a browser does."""
        self.page.evaluate("size => { document.documentElement.style.fontSize = `${size}px` }", size)

    def resize(self, width: int, height: int) -> None:
        """Give the page another size, and wait until what follows its room is drawn anew: three frames, not a time."""
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.evaluate(
            """() => new Promise((done, fail) => {
                setTimeout(() => fail(new Error("no frame was drawn for 60 s")), 60_000);
                requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(done)));
            })"""
        )

    def close(self) -> None:
        """Leave the page to the next explorer, as it was."""
        self.page.unroute_all()
        self.page.remove_listener("console", self._note_console)
        self.page.remove_listener("pageerror", self._note_error)
        self.page.mouse.move(0, 0)
        if self.page.viewport_size != SIZE:
            self.page.set_viewport_size(SIZE)
        self.window.free.append(self.page)
