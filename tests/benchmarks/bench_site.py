"""How soon an explorer of the web edition lives: from the opening of a page to the first picture that it draws.

    make site && python tests/benchmarks/bench_site.py

prints, for the start page and each lesson, the median in milliseconds, in headless Chromium with a new profile each
time, and how many bytes of scripts it needs. A lesson is opened at its first explorer, as by a link to its heading. It
returns 1 if a median is above one second.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))

from explorers import PICTURE
from lab import chromium, why_no_browser

SITE = Path(__file__).parents[2] / "build" / "site"
LIMIT_MS = 1000
TIMES = 5
LIVES = f"""new MutationObserver((_, observer) => {{
    if (!document.querySelector("{PICTURE}")) return;
    observer.disconnect();
    window.vitLives = performance.now();
}}).observe(document, {{ childList: true, subtree: true }});
addEventListener("DOMContentLoaded", () => document.querySelector(".vit-explorer")?.scrollIntoView());"""


def milliseconds(browser, page: Path) -> float:
    """The time from the start of the navigation until the first explorer is there."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, offline=True)
    context.add_init_script(LIVES)
    tab = context.new_page()
    tab.goto(page.as_uri())
    lives = tab.wait_for_function("() => window.vitLives").json_value()
    context.close()
    return lives


def main() -> int:
    if missing := why_no_browser():
        print(missing, file=sys.stderr)
        return 1
    pages = [page for page in sorted(SITE.glob("*.html")) if "data-needs=" in page.read_text(encoding="utf-8")]
    if not pages:
        print("there is no site to measure; make it with: make site", file=sys.stderr)
        return 1
    slow = False
    with chromium() as browser:
        for page in pages:
            needs = page.read_text(encoding="utf-8").split('data-needs="')[1].split('"')[0].split()
            size = sum((SITE / "_static" / "explorers" / f"{need}.js").stat().st_size for need in needs)
            median = statistics.median(milliseconds(browser, page) for _ in range(TIMES))
            slow = slow or median > LIMIT_MS
            print(f"{page.stem:34} {median:6.0f} ms {size / 1000:7.0f} kB")
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
