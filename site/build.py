"""Make the web edition: `python site/build.py [--open] [FOLDER]`, build/site if none is given.

The pages are those of site/pages/, what site/claims.py says of the claims, and the executed notebooks. Nothing is
fetched while they are made, nor when they are read.

SITE_BASE is the path that a server will have them under, such as /course: a missing page, at whatever depth, then leads
back to the start.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import webbrowser
from pathlib import Path

import nbformat
from claims import claims_page
from contents import LESSONS, fill
from host import HERE, NOTEBOOKS, places, states, write_scripts
from html_pages import mended, with_base
from lessons import lesson
from sphinx.cmd.build import build_main

COURSE = HERE.parent
MATHJAX = COURSE / "node_modules" / "mathjax" / "es5" / "tex-svg.js"
EDITION = "_static/explorers"  # a folder that has it is a web edition
LEFTOVERS = (".buildinfo", "objects.inv", "_sources", "_static/locales", "_static/**/*.map")  # of no use to a reader

CONTENTS = """

```{toctree}
:hidden:
:caption: Lessons

[lessons]
```

```{toctree}
:hidden:
:caption: More

[pages]
```
"""


def lay_out(source: Path) -> None:
    """Write what Sphinx reads: every lesson and every page that there is.

    Raises ValueError if the saved explorers are not those of the lessons.
    """
    shutil.copytree(NOTEBOOKS / "figures", source / "figures")
    saved: dict[str, dict] = {}
    for place in places(NOTEBOOKS):
        saved.setdefault(place.lesson, {})[place.cell] = place
    lessons = sorted(NOTEBOOKS.glob(LESSONS))
    for path in lessons:
        notebook, here = nbformat.read(path, as_version=4), saved.get(path.stem, {})
        if found := states.complaints(notebook, {cell: place.kept for cell, place in here.items()}):
            raise ValueError(f"{path.stem}: {found[0]}")
        nbformat.write(lesson(notebook, here), source / path.name)

    for page in (HERE / "pages").glob("*.md"):
        (source / page.name).write_text(fill(page.read_text(encoding="utf-8"), NOTEBOOKS), encoding="utf-8")
    (source / "claims.md").write_text(claims_page(NOTEBOOKS), encoding="utf-8")
    pages = sorted(page.stem for page in source.glob("*.md") if page.stem != "index")
    shutil.copy(HERE / "404.md", source)

    contents = CONTENTS.replace("[lessons]", "\n".join(path.stem for path in lessons))
    with (source / "index.md").open("a", encoding="utf-8") as index:
        index.write(contents.replace("[pages]", "\n".join(pages)))


def lay_out_static(folder: Path) -> None:
    """Write what the pages load: the explorers' scripts and MathJax."""
    write_scripts(NOTEBOOKS, folder / "explorers")
    (folder / "mathjax").mkdir()
    shutil.copy(MATHJAX, folder / "mathjax")


def refuse_another(site: Path) -> None:
    """Raise ValueError for what a build would have to delete and that no build has made."""
    if site.exists() and not site.is_dir():
        raise ValueError(f"{site} is a file; name a folder for the web edition")
    if COURSE.is_relative_to(site):
        raise ValueError(f"{site} holds the course itself; name another folder for the web edition")
    if site.exists() and any(site.iterdir()) and not (site / EDITION).is_dir():
        raise ValueError(f"{site} holds something else than a web edition of the course; name a new or an empty folder")


def build(site: Path) -> int:
    """Make the pages in place of those that the folder holds; return 0, or what Sphinx returns for a warning.

    They are made beside it and put into place when they are whole: after an error or a warning the folder is what it
    was. Raises ValueError for a folder that holds something else, and for what lay_out refuses.
    """
    refuse_another(site)
    site.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=site.parent, prefix=".build-") as work:
        source, static, made = (Path(work) / name for name in ("source", "static", "made"))
        lay_out(source)
        lay_out_static(static)
        options = ["-q", "-W", "--keep-going", "-c", str(HERE), "-d", str(Path(work) / "doctrees")]
        failed = build_main([*options, "-D", f"html_static_path={HERE / 'static'},{static}", str(source), str(made)])
        if failed:
            return failed
        finish(made)
        if site.exists():
            site.rename(Path(work) / "earlier")
        made.rename(site)
    return 0


def finish(site: Path) -> None:
    """Mend the pages that Sphinx has made, and take out what no reader needs."""
    for page in site.glob("*.html"):
        page.write_text(mended(page.read_text(encoding="utf-8")), encoding="utf-8")
    if (base := os.environ.get("SITE_BASE")) is not None:
        page = site / "404.html"
        page.write_text(with_base(page.read_text(encoding="utf-8"), base), encoding="utf-8")
    for path in [path for pattern in LEFTOVERS for path in site.glob(pattern)]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Make the web edition of the course.")
    parser.add_argument("folder", nargs="?", type=Path, default=COURSE / "build" / "site")
    parser.add_argument("--open", action="store_true", help="show it in a browser")
    options = parser.parse_args(arguments)
    site = options.folder.resolve()
    if not MATHJAX.exists():
        print("MathJax is not there; run make site, which installs it", file=sys.stderr)
        return 1
    try:
        failed = build(site)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    if failed:
        return failed
    size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
    print(f"{site / 'index.html'}: {len(list(site.glob('*.html')))} pages, {size / 1e6:.1f} MB")
    if options.open:
        webbrowser.open((site / "index.html").as_uri())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
