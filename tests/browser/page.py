"""One explorer on a blank page in headless Chromium, without JupyterLab or a kernel, and its twin in Python."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from explorers import PICTURE, words

from vit_tutorial.explore.base import Explorer

HOST = Path(__file__).parents[2] / "site" / "host.js"
ADDRESS = "http://explorer.test/"
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


def explorer_context(browser) -> Any:
    """What the pages of explorers share: a window's size, one blank page at `ADDRESS`, and no network.

    One blank page stays open, so that the browser keeps its process: to start one for each explorer takes a second.
    """
    context = browser.new_context(viewport={"width": 1200, "height": 1400}, reduced_motion="reduce")
    context.set_default_timeout(60_000)  # only a failure waits so long, and a busy machine
    blank = '<!doctype html><meta charset="utf-8"><body><div id="root">'
    context.route(ADDRESS, lambda route: route.fulfill(body=blank, content_type="text/html"))
    context.new_page().goto(ADDRESS)
    return context


class ExplorerPage:
    """An explorer on a page of its own; `lab` is its twin in Python, which hears what a kernel would hear.

    `errors` and `foreign_requests` are filled by the browser while the page lives.
    """

    def __init__(self, context, lab: Explorer, theme: str = "light"):
        self.lab = lab
        self.errors: list[str] = []
        self.foreign_requests: list[str] = []
        self.context = context
        self.page = context.new_page()
        self.page.route(lambda url: url != ADDRESS, self._refuse)
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(ADDRESS)
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

    def close(self) -> None:
        """Close the page."""
        self.page.close()
