"""A private JupyterLab and a headless Chromium, for the browser tests, the screenshots and the benchmark.

Nothing of the user's own Jupyter settings is read or written: every folder that Jupyter keeps is made afresh.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import zmq

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)

LAB_SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False, "confirmClosingDocument": False},
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none", "scrollPastEnd": False},
}


def find_chromium() -> str | None:
    """The path of an installed Chromium or Chrome, or None. The variable CHROMIUM, if set, comes first."""
    for name in (os.environ.get("CHROMIUM"), *CHROMIUM_NAMES):
        if name and (path := shutil.which(name)):
            return path
    return None


def why_no_browser() -> str | None:
    """One sentence that says what is missing for a browser test, or None if nothing is."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "playwright is not installed; install it with: pip install -e '.[test]'"
    if find_chromium() is None:
        return "no Chromium was found; install it (apt-get install chromium) or name it in the variable CHROMIUM"
    return None


def copy_notebook(notebook: Path, root: Path) -> str:
    """Copy a notebook, the figures beside it and the data folder into `root`, laid out as in the repository.

    Returns the copy's path relative to `root`, with forward slashes, as `LabPage.open` takes it.
    """
    notebook = notebook.resolve()
    folder = root / notebook.parent.name
    folder.mkdir(exist_ok=True)
    shutil.copy(notebook, folder / notebook.name)
    if (notebook.parent / "figures").is_dir():
        shutil.copytree(notebook.parent / "figures", folder / "figures", dirs_exist_ok=True)
    data = notebook.parents[1] / "data"
    if data.is_dir() and not (root / "data").exists():
        shutil.copytree(data, root / "data", ignore=shutil.ignore_patterns("downloads"))
    return f"{folder.name}/{notebook.name}"


def write_notebook(path: Path, *codes: str) -> None:
    """Write a notebook of code cells that have not run."""
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    notebook.cells = [nbformat.v4.new_code_cell(code) for code in codes]
    nbformat.write(notebook, path)


def free_port() -> int:
    """A TCP port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@dataclass
class LabServer:
    """A running JupyterLab that serves one folder; `url` ends without a slash, and is empty until it is up."""

    root: Path
    url: str
    token: str
    process: subprocess.Popen
    log: Path
    home: Path = field(repr=False)

    def request(self, path: str, method: str = "GET") -> bytes:
        """The answer of the server's own interface (`/api/...`)."""
        request = urllib.request.Request(self.url + path, method=method)
        request.add_header("Authorization", f"token {self.token}")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read()

    def end_sessions(self) -> None:
        """Stop every kernel, so that the next notebook starts with a fresh one."""
        for session in json.loads(self.request("/api/sessions")):
            with contextlib.suppress(urllib.error.HTTPError):
                self.request(f"/api/sessions/{session['id']}", "DELETE")

    def notebook_url(self, name: str) -> str:
        """The address that opens one notebook alone; `name` is relative to the served folder."""
        return f"{self.url}/doc/tree/{urllib.parse.quote(name)}?token={self.token}"


def write_settings(folder: Path, dark: bool) -> None:
    """Write JupyterLab's settings: no news, no update check, no autosave, all cells drawn, the theme asked for."""
    theme = {"theme": "JupyterLab Dark" if dark else "JupyterLab Light"}
    for plugin, settings in {**LAB_SETTINGS, "@jupyterlab/apputils-extension/themes": theme}.items():
        path = folder / f"{plugin}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings))


@contextlib.contextmanager
def lab_server(root: Path, dark: bool = False) -> Iterator[LabServer]:
    """Start JupyterLab on `root` with settings of its own; stop it and its kernels at the end."""
    home = Path(tempfile.mkdtemp(prefix="vit-lab-"))
    folders = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    own = {name: str(home / folder) for name, folder in folders.items()}
    environment = {**os.environ, **own, "VIT_TUTORIAL_PROGRESS": ""}  # what is solved here is nobody's progress
    for folder in folders.values():
        (home / folder).mkdir()
    write_settings(home / "settings", dark)
    token, log = secrets.token_hex(16), home / "server.log"
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--ServerApp.root_dir={root}"),
        *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={free_port()}"),  # or one near it, if that is taken by then
        *(f"--IdentityProvider.token={token}", "--LabApp.expose_app_in_browser=True", "--LabApp.news_url=None"),
        "--LabApp.extension_manager=readonly",
        "--KernelManager.shutdown_wait_time=0.2",  # seconds, then it is killed: a kernel takes its time to end
        *(["--KernelManager.transport=ipc"] if zmq.has("ipc") else []),  # of ports, another may take one first
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=root, env=environment, stdout=output, stderr=subprocess.STDOUT)
    server = LabServer(Path(root), "", token, process, log, home)
    try:
        wait_until_up(server)
        yield server
    finally:
        with contextlib.suppress(OSError, ValueError):  # it is down, or never was up
            server.end_sessions()
            server.request("/api/shutdown", "POST")
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(home, ignore_errors=True)


def wait_until_up(server: LabServer, seconds: float = 180) -> None:
    """Return when the server answers; raise RuntimeError with the end of its log if it does not."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if server.process.poll() is not None:
            break
        with contextlib.suppress(OSError, ValueError):  # a file that is not there, or not whole
            said = json.loads((server.home / "runtime" / f"jpserver-{server.process.pid}.json").read_text())
            server.url = f"http://127.0.0.1:{said['port']}"
            server.request("/api/status")
            return
        time.sleep(0.1)
    end_of_log = server.log.read_text()[-3000:]
    raise RuntimeError(f"JupyterLab did not start within {seconds:.0f} s; its log ends:\n{end_of_log}")


@contextlib.contextmanager
def chromium() -> Iterator:
    """A headless Chromium with a fresh profile; yields Playwright's Browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), headless=True, args=list(CHROMIUM_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


class LabPage:
    """One notebook opened in JupyterLab, with everything that went wrong on the way.

    `console_errors` and `foreign_requests` are filled by the browser while the page lives.
    """

    def __init__(self, browser, server: LabServer, width: int = 1200, height: int = 1400):
        self.server = server
        self.context = browser.new_context(viewport={"width": width, "height": height}, reduced_motion="reduce")
        self.context.set_default_timeout(60_000)  # only a failure waits so long, and a busy machine
        self.page = self.context.new_page()
        self.console_errors: list[str] = []
        self.foreign_requests: list[str] = []
        self.page.on("console", self._note_console)
        self.page.on("pageerror", lambda error: self.console_errors.append(str(error)))
        self.page.on("request", self._note_request)

    def _note_console(self, message) -> None:
        if message.type == "error":
            self.console_errors.append(f"{message.text} ({message.location.get('url', '')})")

    def _note_request(self, request) -> None:
        address = urllib.parse.urlsplit(request.url)
        own = urllib.parse.urlsplit(self.server.url).netloc
        if address.scheme in ("http", "https", "ws", "wss") and address.netloc != own:
            self.foreign_requests.append(request.url)

    def close(self) -> None:
        """Close the page and forget its cookies."""
        self.context.close()

    def open(self, name: str) -> None:
        """Open a notebook of the served folder with a fresh kernel and wait until the kernel is ready.

        A page that shows this JupyterLab already opens it there: to load all of JupyterLab takes ten times as long.
        """
        self.server.end_sessions()
        if self.page.url.startswith(self.server.url):
            self.page.evaluate(
                """async path => {
                    await window.jupyterapp.commands.execute("docmanager:open", { path, factory: "Notebook" });
                }""",
                name,
            )
        else:
            self.page.goto(self.server.notebook_url(name), wait_until="domcontentloaded", timeout=60_000)
        self.page.wait_for_function(
            """path => {
                const panel = window.jupyterapp?.shell?.currentWidget;
                return panel?.content?.model?.cells?.length > 0
                    && panel.context?.isReady
                    && panel.context.path === path
                    && panel.sessionContext?.session?.kernel?.status === "idle";
            }""",
            arg=name,
            timeout=120_000,
            polling=100,  # otherwise in each frame
        )
        self.execute("application:toggle-left-area", only_if="left")
        self.page.evaluate("() => document.activeElement?.blur()")

    def wear(self, theme: str) -> None:
        """Let JupyterLab be "light" or "dark"."""
        name = f"JupyterLab {theme.capitalize()}"
        self.page.evaluate(
            """async theme => {
                if (document.body.dataset.jpThemeName === theme) return;
                await window.jupyterapp.commands.execute("apputils:change-theme", { theme });
            }""",
            name,
        )
        self.page.wait_for_function("theme => document.body.dataset.jpThemeName === theme", arg=name, polling=100)

    def leave(self) -> bool:
        """Close the notebook without saving it, and end its kernel; say whether another one can be opened here."""
        self.page.evaluate(
            """() => {
                for (const panel of Array.from(window.jupyterapp.shell.widgets("main"))) {
                    if (panel.context) panel.dispose();
                }
            }"""
        )
        self.server.end_sessions()
        left = self.page.locator(".jp-Dialog, .jp-Notebook, .widget-subarea")
        self.console_errors.clear()
        self.foreign_requests.clear()
        return left.count() == 0

    def execute(self, command: str, only_if: str = "") -> None:
        """Run a JupyterLab command; `only_if="left"` runs it only while the left side bar is open."""
        self.page.evaluate(
            """([command, onlyIf]) => {
                const app = window.jupyterapp;
                if (onlyIf === "left" && app.shell.leftCollapsed !== false) return;
                if (app.commands.hasCommand(command)) return app.commands.execute(command);
            }""",
            [command, only_if],
        )

    def start_all(self) -> None:
        """Begin to run every cell, and do not wait."""
        self.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells') }")

    def run_all(self, seconds: float = 300) -> None:
        """Forget all outputs, run every cell, and wait until all have run or one has failed."""
        self.execute("notebook:clear-all-cell-outputs")
        self.start_all()
        self.page.wait_for_function(
            """() => {
                const panel = window.jupyterapp.shell.currentWidget;
                const cells = Array.from(panel.content.model.cells);
                const code = cells.filter(cell => cell.type === "code" && cell.sharedModel.source.trim());
                const failed = ({ outputs }) => {
                    for (let i = 0; i < outputs.length; i++) if (outputs.get(i).type === "error") return true;
                    return false;
                };
                if (code.some(failed)) return true;
                return code.every(cell => cell.executionCount !== null && cell.sharedModel.executionState !== "running")
                    && panel.sessionContext.session.kernel.status === "idle";
            }""",
            timeout=seconds * 1000,
            polling=100,
        )

    def run_cells(self, numbers: list[int], seconds: float = 300) -> None:
        """Run these cells alone, as the button does that runs the chosen one; the others keep what they show.

        Waits until all of them have run or one has failed.
        """
        self.page.evaluate(
            """numbers => {
                const { commands, shell } = window.jupyterapp;
                const { content } = shell.currentWidget;
                const run = async () => {
                    for (const number of numbers) {
                        content.deselectAll();
                        content.activeCellIndex = number;
                        await commands.execute("notebook:run-cell");
                        const { outputs } = content.model.cells.get(number);
                        for (let i = 0; i < outputs.length; i++) if (outputs.get(i).type === "error") return;
                    }
                };
                window.vitRan = false;
                run().finally(() => { window.vitRan = true; });
            }""",
            numbers,
        )
        self.page.wait_for_function(
            """() => window.vitRan
                && window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === "idle" """,
            timeout=seconds * 1000,
            polling=100,
        )

    def notebook(self) -> nbformat.NotebookNode:
        """The notebook as it stands in the page, with the outputs it has now."""
        return nbformat.from_dict(
            self.page.evaluate("() => window.jupyterapp.shell.currentWidget.content.model.toJSON()")
        )

    def outputs(self) -> list[dict]:
        """All outputs of all code cells, in nbformat's form, each with its cell's number under `cell`."""
        return self.page.evaluate(
            """() => Array.from(window.jupyterapp.shell.currentWidget.content.model.cells).flatMap(
                (cell, index) => cell.type === "code"
                    ? cell.outputs.toJSON().map(output => ({...output, cell: index})) : [])"""
        )

    def errors(self) -> list[str]:
        """What stands in error outputs: `cell 3: ValueError: ...`."""
        return [
            f"cell {output['cell']}: {output['ename']}: {output['evalue']}"
            for output in self.outputs()
            if output["output_type"] == "error"
        ]

    def broken_widgets(self) -> list[str]:
        """The messages of JupyterLab that stand where a widget should be."""
        text = self.page.locator(".jp-Notebook").inner_text()
        faults = ("Error displaying widget", "Loading widget", "Error creating widget")
        return [fault for fault in faults if fault in text]

    def wait_for_pictures(self, seconds: float = 20) -> None:
        """Wait until all pictures are loaded, all formulas set and no widget is being loaded."""
        self.page.wait_for_function(
            """() => Array.from(document.images).every(image => image.complete)
                && !document.querySelector(".jp-Notebook")?.innerText.includes("Loading widget")
                && document.fonts.status === "loaded" """,
            timeout=seconds * 1000,
            polling=200,  # to read a lesson's text takes long
        )
        self.page.wait_for_timeout(400)

    def screenshots(self, out: Path, stem: str, limit: int = 60) -> list[Path]:
        """Write the notebook from top to bottom as PNG pages `STEM-01.png`, ... as wide as the window."""
        scroller = self.page.locator(".jp-Notebook .jp-WindowedPanel-outer, .jp-Notebook.jp-mod-scrollPastEnd").first
        if scroller.count() == 0:
            scroller = self.page.locator(".jp-Notebook").first
        box = scroller.bounding_box()
        overlap, paths, top = 40, [], 0.0
        while len(paths) < limit:
            scroller.evaluate("(element, top) => { element.scrollTop = top }", top)
            self.page.wait_for_timeout(150)
            at, height, view = scroller.evaluate("e => [e.scrollTop, e.scrollHeight, e.clientHeight]")
            path = out / f"{stem}-{len(paths) + 1:02d}.png"
            self.page.screenshot(path=path, clip=box)
            paths.append(path)
            if at + view >= height - 2:
                break
            top = at + view - overlap
        return paths
