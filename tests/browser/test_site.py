"""The web edition from a file, without a network: every page opens, every explorer lives, nobody is shut out."""

import json
import os
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from explorers import PICTURE
from filelock import FileLock

COURSE = Path(__file__).parents[2]
NOTEBOOKS = COURSE / "notebooks"
AXE = COURSE / "node_modules" / "axe-core" / "axe.min.js"
LESSONS = sorted(path.stem for path in NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
PAGES = sorted({*LESSONS, "claims", "404", "search", *(path.stem for path in (COURSE / "site" / "pages").glob("*.md"))})
EXPLORERS = {path.stem: json.loads(path.read_text()) for path in sorted((NOTEBOOKS / "states").glob("*.json"))}
PHONE, DESK = {"width": 375, "height": 800}, {"width": 1400, "height": 1000}
LARGEST_SITE = 25_000_000  # bytes
LARGEST_START = 1_500_000  # bytes of scripts before the first explorer lives


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The folder of the web edition, made once for all workers."""
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    folder = shared / "site"
    with FileLock(shared / "site.lock"):
        if not folder.exists():
            command = [sys.executable, COURSE / "site" / "build.py", folder]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
    return folder


class Page(HTMLParser):
    """What a page of the site refers to, and what can be referred to on it."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.links, self.needs, self.stills = set(), [], [], []
        self.inside = 0  # how many <div> deep in the place of an explorer
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids |= {found.get("id"), found.get("name")}
        self.links += [found[name] for name in ("href", "src") if found.get(name)]
        self.inside += tag == "div" and ("data-needs" in found or self.inside > 0)
        if "data-needs" in found:
            self.needs.append(found["data-needs"].split())
            self.stills.append(None)
        if tag == "img" and self.inside:
            self.stills[-1] = found["alt"]

    def handle_endtag(self, tag):
        self.inside -= tag == "div" and self.inside > 0


@pytest.fixture(scope="session")
def pages(site):
    return {path.stem: Page(path) for path in site.glob("*.html")}


class Visit:
    """A page of the site in a browser of its own, which notes what goes wrong and what is asked of the network."""

    def __init__(self, browser, **settings):
        self.context = browser.new_context(viewport=DESK, reduced_motion="reduce", **settings)
        self.context.set_default_timeout(60_000)  # only a failure waits so long, and a busy machine
        self.faults = []
        self.page = self.context.new_page()
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        if settings.get("java_script_enabled", True):  # else the browser refuses scripts itself
            self.page.on("requestfailed", lambda request: self.faults.append(f"{request.url} failed"))
        self.page.on("request", self._note)

    def _hear(self, said):
        if said.type in ("error", "warning"):
            self.faults.append(said.text)

    def _note(self, request):
        if urlsplit(request.url).scheme not in ("file", "blob", "data"):
            self.faults.append(f"{request.url} was asked for")

    def open(self, path, anchor=""):
        self.page.goto(path.as_uri() + anchor)
        self.page.wait_for_function("() => !globalThis.MathJax || MathJax.startup.promise")
        self.page.evaluate("() => globalThis.MathJax?.startup.promise")
        return self.page

    def wake(self):
        """Scroll to every explorer, and wait until it lives."""
        for place in self.page.locator(".vit-explorer").all():
            place.scroll_into_view_if_needed()
            place.locator(PICTURE).first.wait_for(state="visible")

    def turn_dark(self):
        """Choose the dark page by the theme's own switch."""
        self.page.locator(".theme-switch-button:visible").click()
        self.page.locator(".theme-change-button[data-mode=dark]:visible").click()
        self.page.wait_for_function("() => document.body.dataset.jpThemeLight === 'false'")
        self.page.mouse.move(0, 0)  # away from the switch, whose tooltip stands outside all landmarks
        self.page.evaluate("() => document.activeElement.blur()")
        self.page.wait_for_function("() => !document.querySelector('.tooltip')")

    def thin_code(self):
        """Take the colours from all words of code but the first of each kind in each kind of place.

        axe-core looks at thousands of words one by one; those have the same colours whose classes, and those of all
        that they stand in, are the same.
        """
        self.page.evaluate(
            """() => {
                const places = new Map();
                const placeOf = (block) => {
                    let classes = "";
                    for (let one = block; one; one = one.parentElement) classes += `${one.className} < `;
                    places.set(block, classes);
                    return classes;
                };
                const seen = new Set();
                for (const word of document.querySelectorAll(".highlight span[class]")) {
                    const block = word.parentElement;
                    const kind = `${word.className} < ${places.get(block) ?? placeOf(block)}`;
                    if (seen.has(kind)) word.replaceWith(...word.childNodes);
                    seen.add(kind);
                }
            }"""
        )

    def violations(self, **only):
        """What axe-core finds against the rules of accessibility, a line for each."""
        return self.page.evaluate(
            """async (only) => {
                const found = await axe.run({ resultTypes: ["violations"], preload: false, ...only });
                const where = (one) => one.nodes.slice(0, 4).map((node) => node.html.slice(0, 160)).join(" | ");
                return found.violations.map((one) => `${one.id}: ${one.help}: ${where(one)}`);
            }""",
            only,
        )


@pytest.fixture
def visit(browser):
    """`visit()` opens a browser window without a network; nothing may have gone wrong there at the end."""
    visits = []

    def opened(**settings):
        visits.append(Visit(browser, offline=True, **settings))
        return visits[-1]

    yield opened
    for one in visits:
        one.context.close()
        assert one.faults == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_and_for_everybody_and_its_explorers_react_to_a_key(site, pages, visit, name):
    """Light, dark, on a phone: no error, no request, nothing that axe-core finds, nothing to scroll sideways.

    On a phone also with letters twice as large. An explorer of a lesson says what its still picture says; then an arrow
    key changes what it says and shows.
    """
    one = visit()
    page = one.open(site / f"{name}.html")
    one.wake()
    rows_of_bars = page.locator(".vit-lab :is(.vit-answers, .vit-lens):visible")
    assert rows_of_bars.evaluate_all("all => all.every((one) => one.offsetWidth === one.parentElement.clientWidth)")
    page.add_script_tag(path=AXE)
    one.thin_code()
    assert one.violations() == []
    if name in EXPLORERS:
        assert page.locator(".vit-explorer").count() == len(EXPLORERS[name]) == len(pages[name].stills)
        for place, still in zip(page.locator(".vit-explorer").all(), pages[name].stills, strict=True):
            for canvas in place.locator(PICTURE).all():
                check_reacts(page, canvas, still)
    one.turn_dark()
    assert one.violations(runOnly=["color-contrast"]) == []  # the one rule that is about colours
    page.set_viewport_size(PHONE)
    page.evaluate("() => document.querySelectorAll('.bd-article details').forEach((fold) => { fold.open = true })")
    for letters in (16, 32):
        page.evaluate("(letters) => { document.documentElement.style.fontSize = `${letters}px` }", letters)
        page.wait_for_function("() => document.documentElement.scrollWidth <= innerWidth")


def check_reacts(page, canvas, still):
    """The explorer with this canvas says what the still picture says, and reacts to one of the arrow keys."""
    before = canvas.get_attribute("aria-label"), canvas.evaluate("canvas => canvas.toDataURL()")
    assert still in (None, before[0])
    canvas.focus()
    for key in ("ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp"):
        page.keyboard.press(key)
        if canvas.get_attribute("aria-label") != before[0]:
            break
    assert canvas.get_attribute("aria-label") != before[0]
    assert canvas.evaluate("canvas => canvas.toDataURL()") != before[1]


def test_the_pages_are_those_that_there_are_and_not_too_large(site, pages):
    assert set(pages) == set(PAGES)
    assert all("_static/icon.svg" in page.links for page in pages.values()), "a browser would ask for /favicon.ico"
    assert sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) < LARGEST_SITE


def test_every_link_and_anchor_leads_somewhere(site, pages):
    broken = []
    for name, page in pages.items():
        for link in page.links:
            address = urlsplit(link)
            if address.scheme:
                assert address.scheme in ("data", "https"), link
                continue
            target = unquote(address.path) or f"{name}.html"
            anchor = unquote(address.fragment)
            if not (site / target).is_file() or (anchor and anchor not in pages[Path(target).stem].ids):
                broken.append(f"{name}: {link}")
    assert broken == []


def test_linked_explorers_move_together(site, visit):
    (name,) = [name for name, cells in EXPLORERS.items() if any(kept["links"] for kept in cells.values())]
    one = visit()
    page = one.open(site / f"{name}.html")
    one.wake()
    left, right = page.locator(f".vit-alive:has(> div + div) {PICTURE}").all()
    before = right.get_attribute("aria-label")
    left.focus()
    page.keyboard.press("ArrowRight")
    assert right.get_attribute("aria-label") != before


def test_an_explorer_is_loaded_when_it_comes_into_sight_and_not_before(site, pages, visit):
    assert sum((site / "_static" / "explorers" / f"{need}.js").stat().st_size for need in pages["index"].needs[0]) < (
        LARGEST_START
    )
    page = visit().open(site / f"{LESSONS[1]}.html")
    loaded = page.locator("script[src*='explorers/states/']")
    assert loaded.count() == 0
    assert page.locator(".vit-explorer img").is_visible()
    page.locator(".vit-explorer").scroll_into_view_if_needed()
    page.locator(PICTURE).wait_for(state="visible")
    assert loaded.count() == 1


def test_the_tab_key_leads_into_an_explorer_that_is_not_there_yet(site, visit):
    one = visit()
    one.page.set_viewport_size(PHONE)
    page = one.open(site / "04_scaled_dot_product_attention.html")
    page.evaluate(
        """() => {
            const text = document.querySelector(".cell:has(.vit-explorer)").previousElementSibling;
            text.tabIndex = -1;
            text.focus({ preventScroll: true });
        }"""
    )
    assert page.locator(PICTURE).count() == 0
    page.keyboard.press("Tab")
    page.wait_for_function("() => document.activeElement.closest('.vit-lab')")
    assert page.evaluate("() => document.activeElement.labels[0].textContent") == "Begin with"
    page.keyboard.press("Shift+Tab")
    assert not page.evaluate("() => document.activeElement.matches('.vit-explorer, .vit-explorer *')")


def test_a_page_reads_well_without_javascript(site, pages, visit):
    """Still pictures with their words; hints, solutions and answers fold all the same."""
    page = visit(java_script_enabled=False).page
    page.goto((site / f"{LESSONS[1]}.html").as_uri())
    assert page.locator("html").get_attribute("data-theme") == "light"
    assert page.locator(".vit-explorer img").is_visible()
    assert "run the cell" not in page.locator(".vit-explorer figcaption").inner_text()
    for summary, inside in (("Hint 1", "p"), ("Solution", ".highlight")):
        fold = page.locator("details", has=page.get_by_text(summary, exact=True)).first
        assert not fold.locator(inside).last.is_visible()
        fold.locator("summary").click()
        assert fold.locator(inside).last.is_visible()


def test_every_exercise_has_its_solution_folded_and_says_how_to_try_it(site, visit):
    for name in LESSONS:
        cells = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4).cells
        tags = [tag for cell in cells for tag in cell.metadata.get("tags", [])]
        text = (site / f"{name}.html").read_text()
        assert text.count("Nothing runs on this page") == tags.count("exercise")
        assert text.count('<p class="collapsed admonition-title">Solution</p>') == tags.count("solution")
        assert text.count('<details class="vit-question">') >= 3, name


def test_the_browser_keeps_what_was_read_until_it_is_told_to_forget(site, visit):
    page = visit().open(site / f"{LESSONS[0]}.html")
    progress = page.locator(".vit-progress-words").first
    mark = page.locator(".bd-sidebar-primary .current .vit-mark")
    assert progress.is_hidden()
    page.locator("details.vit-question summary").first.click()
    page.wait_for_function("() => document.querySelector('.vit-progress-words').textContent.includes('1 question ')")
    page.locator(".prev-next-footer").scroll_into_view_if_needed()
    page.wait_for_function("() => document.querySelector('.vit-progress-words').textContent.startsWith('1 of ')")
    assert mark.first.inner_text() == "✓ read, 1 answered"

    page.goto((site / "index.html").as_uri())
    assert progress.inner_text() == f"1 of {len(LESSONS)} lessons read, 1 question answered."
    assert page.locator(".vit-mark").count() >= 1
    page.get_by_role("button", name="Forget what I have read").click()
    assert page.locator(".vit-mark").count() == 0
    assert progress.is_hidden()
    page.reload()
    assert page.locator(".vit-mark").count() == 0


def test_a_browser_that_keeps_nothing_is_no_error(site, visit):
    """Where a page may not even ask for what is kept, it counts as long as it is open, and the theme can be chosen."""
    one = visit()
    one.context.add_init_script(
        """for (const name of ["localStorage", "sessionStorage"]) {
            const get = () => { throw new DOMException("refused", "SecurityError") };
            Object.defineProperty(globalThis, name, { configurable: true, get });
        }"""
    )
    page = one.open(site / f"{LESSONS[0]}.html")
    for question in page.locator("details.vit-question summary").all()[:2]:
        question.click()
    page.locator(".prev-next-footer").scroll_into_view_if_needed()
    page.wait_for_function("() => document.querySelector('.vit-progress-words').textContent.startsWith('1 of ')")
    assert page.locator(".vit-progress-words").first.inner_text().endswith("read, 2 questions answered.")
    one.turn_dark()
    one.wake()


def test_on_a_phone_the_menu_leads_to_another_lesson(site, visit):
    page = visit().open(site / "index.html")
    page.set_viewport_size(PHONE)
    page.locator(".primary-toggle:visible").click()
    page.locator("dialog[open]").get_by_role("link", name="1 · Patches").click()
    page.wait_for_url("**/01_patches.html")


def test_the_keyboard_is_not_lost_in_menus(site, visit):
    one = visit()
    one.page.set_viewport_size(PHONE)
    page = one.open(site / f"{LESSONS[1]}.html")
    focused = "() => document.activeElement.className"
    for button in (".primary-toggle", ".secondary-toggle", ".search-button"):
        opener = page.locator(f"{button}:visible")
        opener.press("Enter")
        menu = page.locator("dialog[open]")
        menu.wait_for()
        page.keyboard.press("Escape")
        menu.wait_for(state="detached")
        page.wait_for_function("(button) => document.activeElement.matches(button)", arg=button)
    page.locator(".theme-switch-button:visible").press("Enter")
    page.keyboard.press("ArrowDown")
    assert "theme-change-button" in page.evaluate(focused)
    page.keyboard.press("Escape")
    assert "theme-switch-button" in page.evaluate(focused)

    page.locator(".secondary-toggle:visible").press("Enter")
    page.locator("dialog[open] a[href='#what-the-tokens-cost']").press("Enter")
    page.wait_for_function("() => location.hash === '#what-the-tokens-cost'")
    assert page.locator("dialog[open]").count() == 0
    assert 0 <= page.locator("#what-the-tokens-cost h3").bounding_box()["y"] < 200
    page.keyboard.press("Tab")
    page.wait_for_function("() => document.activeElement.closest('.bd-article')")


@pytest.mark.parametrize(
    ("name", "table", "fits"),
    [
        ("06_encoder_block", ".vit-sums", True),
        ("03_position_embeddings", ".vit-near", True),
        ("02_class_token", ".vit-sums", False),
    ],
)
def test_on_a_phone_numbers_fit_or_can_be_scrolled_to(site, visit, name, table, fits):
    one = visit()
    page = one.open(site / f"{name}.html")
    page.set_viewport_size(PHONE)
    one.wake()
    place = page.locator(f".vit-explorer:has({table})")
    place.get_by_role("button", name="More: ").click()
    box = place.locator(f".vit-sideways:has({table})").last
    width = box.evaluate("box => box.scrollWidth - box.clientWidth")
    assert (width == 0) == fits
    box.evaluate("box => box.scrollTo({ left: box.scrollWidth, behavior: 'instant' })")
    assert place.evaluate("place => place.scrollWidth - place.clientWidth") == 0, "the rest stays where it is"
    last = place.locator(table).last.bounding_box()
    assert last["x"] + last["width"] <= PHONE["width"]


RUN_OFF = """blocks => blocks.filter(block => block.checkVisibility() && block.scrollWidth > block.clientWidth)
    .map(block => block.textContent)"""


def swipe(page, at, across, down):
    """A finger comes down at a point, goes so many pixels in small steps, and is lifted; none at all is a tap."""
    cdp = page.context.new_cdp_session(page)
    steps = 12 if across or down else 0
    way = [(at[0] + across * i / max(1, steps), at[1] + down * i / max(1, steps)) for i in range(steps + 1)]
    for i, (x, y) in enumerate(way):
        touch = {"type": "touchMove" if i else "touchStart", "touchPoints": [{"x": x, "y": y}]}
        cdp.send("Input.dispatchTouchEvent", touch)
        page.wait_for_timeout(16)
    cdp.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_timeout(200)
    cdp.detach()


def phone_at(site, visit, name):
    """A lesson on a phone with its explorers alive, and the large picture of the first in the middle of the screen."""
    one = visit(has_touch=True, is_mobile=True)
    one.page.set_viewport_size(PHONE)
    one.open(site / f"{name}.html")
    one.wake()
    picture = one.page.locator(PICTURE).first
    picture.evaluate("(picture) => picture.scrollIntoView({ block: 'center', behavior: 'instant' })")
    return one.page, picture


@pytest.mark.parametrize("name", [name for name in LESSONS if name in EXPLORERS and name != "00_start_here"])
def test_a_finger_scrolls_the_page_over_a_picture_and_chooses_nothing(site, visit, name):
    page, picture = phone_at(site, visit, name)
    said, before = picture.get_attribute("aria-label"), page.evaluate("scrollY")
    box = picture.bounding_box()
    x = 0.4 * box["width"] + box["x"]
    swipe(page, (x, 500), 0, -250)
    assert page.evaluate("scrollY") - before > 150
    assert picture.get_attribute("aria-label") == said


def test_a_tap_chooses_and_so_does_a_finger_that_goes_sideways(site, visit):
    page, picture = phone_at(site, visit, "06_encoder_block")
    box = picture.bounding_box()
    heard = [picture.get_attribute("aria-label")]
    for start, across in ((0.8, 0), (0.3, 0), (0.3, 0.4 * box["width"])):
        swipe(page, (box["x"] + start * box["width"], box["y"] + 0.5 * box["height"]), across, 0)
        heard.append(picture.get_attribute("aria-label"))
    assert len(set(heard)) == 4


FIRST_TIP = """(canvas) => {
    const box = canvas.getBoundingClientRect();
    for (let i = 0; i < 20 * 30; i++) {
        const at = [box.x + ((i % 20) + 0.5) * box.width / 20, box.y + (Math.floor(i / 20) + 0.5) * box.height / 30];
        if (at[1] <= 0 || at[1] >= innerHeight) continue;
        canvas.dispatchEvent(new PointerEvent("pointermove", { clientX: at[0], clientY: at[1], bubbles: true }));
        if (canvas.style.cursor === "grab") return at;
    }
}"""


def test_a_finger_on_the_tip_of_an_arrow_drags_it_and_beside_it_scrolls(site, visit):
    page, _ = phone_at(site, visit, "04_scaled_dot_product_attention")
    place = page.locator(".vit-explorer").filter(has_text="Follow").first
    canvas = place.locator(PICTURE).first
    canvas.evaluate("(canvas) => canvas.scrollIntoView({ block: 'center', behavior: 'instant' })")
    box, tip = canvas.bounding_box(), canvas.evaluate(FIRST_TIP)
    said, before = canvas.get_attribute("aria-label"), page.evaluate("scrollY")
    swipe(page, tip, 0, 60)
    assert page.evaluate("scrollY") == before
    assert canvas.get_attribute("aria-label") != said
    said = canvas.get_attribute("aria-label")
    swipe(page, (box["x"] + 5, box["y"] + box["height"] - 5), 0, -200)
    assert page.evaluate("scrollY") - before > 100
    assert canvas.get_attribute("aria-label") == said


def test_an_explorer_whose_script_does_not_come_is_tried_again(site, visit, tmp_path):
    copy = tmp_path / "site"
    shutil.copytree(site, copy, copy_function=os.link)
    (state,) = copy.glob("_static/**/states/05_multi_head_attention-*.js")
    state.rename(state.with_suffix(".gone"))
    one = visit()
    page = one.open(copy / "05_multi_head_attention.html")
    place = page.locator(".vit-explorer").first
    place.scroll_into_view_if_needed()
    page.wait_for_function("() => document.querySelector('.vit-explorer figcaption').innerText.includes('not come')")
    state.with_suffix(".gone").rename(state)
    page.evaluate("() => scrollTo({ top: 0, behavior: 'instant' })")
    page.wait_for_timeout(300)
    place.scroll_into_view_if_needed()
    place.locator(PICTURE).first.wait_for(state="visible")
    assert all(state.stem in fault for fault in one.faults if "ERR_FILE_NOT_FOUND" not in fault)
    one.faults.clear()


def test_after_a_reload_a_reader_is_where_they_were(site, visit):
    page, _ = phone_at(site, visit, "08_looking_inside")
    heading = page.locator(".bd-article h2").nth(-3)
    heading.evaluate("(heading) => heading.scrollIntoView({ behavior: 'instant' })")
    page.wait_for_timeout(500)
    before = heading.bounding_box()["y"]
    page.reload()
    page.evaluate("() => globalThis.MathJax?.startup.promise")
    page.wait_for_timeout(1000)
    assert abs(heading.bounding_box()["y"] - before) < 100


def test_where_a_system_has_its_own_colours_bars_and_marks_keep_theirs(site, visit):
    one = visit(forced_colors="active")
    page = one.open(site / "10_fine_tuning.html")
    one.wake()
    marks = page.locator(".vit-key [style]")
    colours = marks.evaluate_all("(all) => all.map((one) => getComputedStyle(one).color)")
    assert len(set(colours)) >= 4


def test_on_a_phone_the_chosen_token_is_brought_into_sight(site, visit):
    page, picture = phone_at(site, visit, "01_patches")
    picture.focus()
    strip = page.locator(".vit-sideways").first
    page.keyboard.press("End")
    assert strip.evaluate("(box) => box.scrollLeft") > 100
    page.keyboard.press("Home")
    assert strip.evaluate("(box) => box.scrollLeft") < 50


def figure_on_a_phone(site, visit, name, which):
    """A lesson on a phone, the first of such figures in sight; scripts find nothing by :has, as Firefox until 120."""
    one = visit()
    one.context.add_init_script(
        """const find = Document.prototype.querySelectorAll;
        Document.prototype.querySelectorAll = function (what) {
            return find.call(this, what.replaceAll(":has(", ":has-not("));
        };"""
    )
    one.page.set_viewport_size(PHONE)
    page = one.open(site / f"{name}.html")
    figure = page.locator(which).first
    figure.scroll_into_view_if_needed()
    return page, figure


def test_on_a_phone_a_wide_figure_keeps_its_size_and_the_keyboard_scrolls_it(site, visit):
    page, figure = figure_on_a_phone(site, visit, "06_encoder_block", "figure:has(> .vit-wide)")
    assert figure.locator("img").bounding_box()["width"] >= 640
    captions = page.locator(".bd-article figcaption").evaluate_all(
        "all => all.map((one) => getComputedStyle(one).fontWeight)"
    )
    assert set(captions) == {"400"}, "as heavy as the text"
    assert figure.get_attribute("tabindex") == "0"
    page.set_viewport_size(DESK)
    page.wait_for_function("(figure) => !figure.hasAttribute('tabindex')", arg=figure.element_handle())


def test_on_a_phone_a_drawn_figure_keeps_letters_that_can_be_read(site, visit):
    page, figure = figure_on_a_phone(site, visit, "07_vision_transformer", 'p:has(> img[src$=".svg"])')
    smallest = 13  # units of the drawing, which is 1,000 wide
    assert figure.locator("img").bounding_box()["width"] / 1000 * smallest > 9
    assert figure.get_attribute("tabindex") == "0"
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    fades = "figure => getComputedStyle(figure).maskImage !== 'none'"
    assert figure.evaluate(fades)
    figure.evaluate("figure => figure.scrollTo(figure.scrollWidth, 0)")
    page.wait_for_function(f"figure => !({fades})(figure)", arg=figure.element_handle())


def test_on_a_phone_a_formula_fades_only_where_it_goes_on(site, visit):
    page, _ = figure_on_a_phone(site, visit, "06_encoder_block", "mjx-container[display]")
    page.wait_for_function("() => document.querySelector('mjx-container.vit-goes-on')")
    told = page.locator("mjx-container[display]").evaluate_all(
        "all => all.map((one) => [one.scrollWidth > one.clientWidth, getComputedStyle(one).maskImage !== 'none'])"
    )
    assert {tuple(one) for one in told} == {(True, True), (False, False)}


def test_the_contents_of_a_lesson_fit_beside_it(site, visit):
    page = visit().open(site / "07_vision_transformer.html")
    page.set_viewport_size({"width": 1280, "height": 900})
    contents = page.locator(".bd-sidebar-secondary")
    assert contents.locator("code").count() > 0  # the words that cannot be broken elsewhere
    assert contents.evaluate("(box) => box.scrollWidth - box.clientWidth") == 0


def test_lines_of_code_fit_a_desk(site, visit):
    page = visit().open(site / "11_train_on_a_gpu.html")
    page.set_viewport_size({"width": 1440, "height": 900})
    code = page.locator(".cell_input pre")
    assert code.count() > 50
    longest = [max(map(len, lines.splitlines())) for lines in code.evaluate_all(RUN_OFF)]
    assert all(length > 120 for length in longest), "only what a formatter could not break"
    assert page.locator(".cell_output pre").evaluate_all(RUN_OFF) == []


def test_what_is_printed_in_words_fits_a_phone_and_a_table_can_be_scrolled(site, visit):
    page = visit().open(site / "09_vit_versus_cnn.html")
    page.set_viewport_size(PHONE)
    right = page.locator(".vit-sentence").evaluate_all("all => all.map(one => one.getBoundingClientRect().right)")
    assert len(right) > 5
    assert max(right) < PHONE["width"]
    table = page.locator(".vit-printed", has_text="memory, MB")
    assert table.evaluate("table => table.scrollWidth - table.clientWidth") > 0
    assert table.evaluate("table => getComputedStyle(table).overflowX") == "auto"


def test_a_dark_page_is_printed_as_a_light_one_and_whole(site, visit):
    one = visit()
    page = one.open(site / f"{LESSONS[1]}.html")
    one.turn_dark()
    page.evaluate("() => addEventListener('beforeprint', () => { printed = document.documentElement.dataset.theme })")
    page.pdf()
    assert page.evaluate("() => printed") == "light"
    assert page.locator("html").get_attribute("data-theme") == "dark"
    one.wake()
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 700, "height": 1000})  # the width of A4
    for kind in (".cell_input pre", ".cell_output pre", "figure", "mjx-container[display]", ".vit-sideways"):
        blocks = page.locator(f".bd-article {kind}")
        assert blocks.count() > 0
        assert blocks.evaluate_all(RUN_OFF) == []
    assert page.locator(".vit-lab").evaluate("lab => getComputedStyle(lab).printColorAdjust") == "exact"
