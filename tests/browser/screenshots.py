"""Photograph notebooks as a learner sees them in JupyterLab, page by page.

    python tests/browser/screenshots.py OUT_DIR [--dark] [--run] [--width 1200] [--height 1400] NOTEBOOK...

writes OUT_DIR/NAME-01.png, NAME-02.png, ... for each notebook (NAME-dark-01.png with --dark). With --run every cell is
executed in the browser first; without it the stored outputs are shown. The notebooks are copied, with the data and
the figures that they use, so the originals stay as they are.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from lab import LabPage, chromium, copy_notebook, lab_server, why_no_browser


def main() -> int:
    """Return 0 if every notebook was photographed and none holds an error or a broken widget."""
    parser = argparse.ArgumentParser(description="Photograph notebooks in JupyterLab, page by page.")
    parser.add_argument("out", type=Path, help="folder for the PNG files")
    parser.add_argument("notebooks", type=Path, nargs="+")
    parser.add_argument("--dark", action="store_true", help="JupyterLab's dark theme")
    parser.add_argument("--run", action="store_true", help="run all cells first")
    parser.add_argument("--width", type=int, default=1200)
    parser.add_argument("--height", type=int, default=1400)
    parser.add_argument("--timeout", type=float, default=600, help="seconds that running one notebook may take")
    args = parser.parse_args()
    if missing := why_no_browser():
        print(missing, file=sys.stderr)
        return 2
    args.out.mkdir(parents=True, exist_ok=True)
    faults = 0
    with tempfile.TemporaryDirectory(prefix="vit-screenshots-") as folder:
        root = Path(folder)
        with lab_server(root, dark=args.dark) as server, chromium() as browser:
            for notebook in args.notebooks:
                started = time.monotonic()
                lab = LabPage(browser, server, args.width, args.height)
                lab.open(copy_notebook(notebook, root))
                if args.run:
                    lab.run_all(args.timeout)
                lab.wait_for_pictures()
                pages = lab.screenshots(args.out, notebook.stem + ("-dark" if args.dark else ""))
                print(f"{notebook.name}: {len(pages)} pages, {time.monotonic() - started:.0f} s -> {pages[0]}")
                for fault in [*lab.errors(), *lab.broken_widgets(), *lab.console_errors, *lab.foreign_requests]:
                    faults += 1
                    print(f"    {fault}")
                lab.close()
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
