"""One JupyterLab, in one page, and one Chromium for all browser tests."""

import contextlib
import os

import pytest
import traitlets
from lab import LabPage, chromium, lab_server, why_no_browser
from page import ExplorerPage, ExplorerWindow


def pytest_collection_modifyitems(items):
    """Put the tests that take longest first: the processes that share them then end at about the same time."""
    long = ("test_notebooks.py", "test_in_jupyterlab.py")
    items.sort(key=lambda item: item.path.name not in long)


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium; skips without one, and fails instead if VIT_TUTORIAL_REQUIRE_BROWSER is 1."""
    if missing := why_no_browser():
        if os.environ.get("VIT_TUTORIAL_REQUIRE_BROWSER") == "1":
            pytest.fail(f"browser tests are required here, but {missing}", pytrace=False)
        pytest.skip(f"browser tests need Chromium and playwright: {missing}")
    with chromium() as running:
        yield running


@pytest.fixture(scope="session")
def window(browser):
    """What the explorers' pages share."""
    shared = ExplorerWindow(browser)
    yield shared
    shared.context.close()


@pytest.fixture
def show(window):
    """`show(lab, theme)` puts an explorer on a page of its own, and checks at the end that nothing went wrong there."""
    with shown_in(window) as shown:
        yield shown


@pytest.fixture
def show_alone(browser):
    """`show_alone(lab, theme)` does so in a window of its own, of which nothing stays: who stops a clock needs one."""
    window = ExplorerWindow(browser)
    with contextlib.closing(window.context), shown_in(window) as shown:
        yield shown


@contextlib.contextmanager
def shown_in(window):
    """Give what shows explorers in this window; look at the end at what they did."""
    pages = []

    def shown(lab, theme="light"):
        limited = {name for name, _ in lab._limits(lab.choices())}
        limited |= {name for name, trait in lab.traits().items() if isinstance(trait, traitlets.Bool)}
        without = [name for name in lab.choice_names if name not in limited]
        assert not without, f"{lab!r} takes anything as {without[0]}; yield its limit in _limits"
        pages.append(ExplorerPage(window, lab, theme))
        return pages[-1]

    yield shown
    for page in pages:
        page.follow()
        page.close()
        assert page.errors == []
        assert page.foreign_requests == []


@pytest.fixture(scope="session")
def server(browser, tmp_path_factory):
    """The JupyterLab of all notebooks."""
    with lab_server(tmp_path_factory.mktemp("lab")) as running:
        yield running


@pytest.fixture(scope="session")
def lab_pages():
    """The page that shows the JupyterLab, or nothing yet."""
    pages = []
    yield pages
    for page in pages:
        page.close()


@pytest.fixture
def open_notebook(browser, server, lab_pages):
    """`open_notebook("name.ipynb", theme)` opens a notebook that lies in the server's folder; closed at the end.

    All notebooks are opened in one page, one after the other, unless a test leaves something behind there.
    """

    def opened(name, theme="light"):
        if not lab_pages:
            lab_pages.append(LabPage(browser, server))
        lab_pages[0].open(name)
        lab_pages[0].wear(theme)
        return lab_pages[0]

    yield opened
    if lab_pages:
        page = lab_pages.pop()
        if page.leave():
            lab_pages.append(page)
        else:
            page.close()
