"""One JupyterLab for each theme, in one page, and one Chromium for all browser tests."""

import contextlib
import os

import pytest
import traitlets
from lab import LabPage, chromium, lab_server, why_no_browser
from page import ExplorerPage


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium; skips without one, and fails instead if VIT_TUTORIAL_REQUIRE_BROWSER is 1."""
    if missing := why_no_browser():
        if os.environ.get("VIT_TUTORIAL_REQUIRE_BROWSER") == "1":
            pytest.fail(f"browser tests are required here, but {missing}", pytrace=False)
        pytest.skip(f"browser tests need Chromium and playwright: {missing}")
    with chromium() as running:
        yield running


@pytest.fixture
def show(browser):
    """`show(lab, theme)` puts an explorer on a page of its own, and checks at the end that nothing went wrong there."""
    pages = []

    def shown(lab, theme="light"):
        limited = {name for name, _ in lab._limits(lab.choices())}
        limited |= {name for name, trait in lab.traits().items() if isinstance(trait, traitlets.Bool)}
        without = [name for name in lab.choice_names if name not in limited]
        assert not without, f"{lab!r} takes anything as {without[0]}; yield its limit in _limits"
        pages.append(ExplorerPage(browser, lab, theme))
        return pages[-1]

    yield shown
    for page in pages:
        page.follow()
        page.close()
        assert page.errors == []
        assert page.foreign_requests == []


@pytest.fixture(scope="session")
def servers(browser, tmp_path_factory):
    """`servers("light")` and `servers("dark")` start a JupyterLab on first use and keep it for the session."""
    with contextlib.ExitStack() as stack:
        started = {}

        def server(theme):
            if theme not in started:
                folder = tmp_path_factory.mktemp(f"lab-{theme}")
                started[theme] = stack.enter_context(lab_server(folder, dark=theme == "dark"))
            return started[theme]

        yield server


@pytest.fixture(scope="session")
def lab_pages():
    """The pages that show a JupyterLab, by its theme."""
    pages = {}
    yield pages
    for page in pages.values():
        page.close()


@pytest.fixture
def open_notebook(browser, servers, lab_pages):
    """`open_notebook("name.ipynb", theme)` opens a notebook that lies in that server's folder; closed at the end.

    All notebooks of a theme are opened in one page, one after the other, unless a test leaves something behind there.
    """
    themes = set()

    def opened(name, theme="light"):
        themes.add(theme)
        if theme not in lab_pages:
            lab_pages[theme] = LabPage(browser, servers(theme))
        lab_pages[theme].open(name)
        return lab_pages[theme]

    yield opened
    for theme in themes:
        page = lab_pages.pop(theme)
        if page.leave():
            lab_pages[theme] = page
        else:
            page.close()
