"""What all explorers share in a browser: they open on one thing, "More" holds the rest, keys work from everywhere."""

import re

import numpy as np
import pytest
import torch
from explorers import GREY_NOISE, NOISE, PICTURE, press, record_letters, words

from vit_tutorial import ModelCard, ViT, ViTConfig
from vit_tutorial.cnn import CNN, CNNConfig
from vit_tutorial.explore import (
    AttentionLab,
    AttentionPlane,
    HeadsGallery,
    LensLab,
    ModelMap,
    PatchLab,
    PositionLab,
    ProbeLab,
    ReachLab,
    SignalLab,
    SketchLab,
    TokenTable,
    TrainingTimeline,
)

MAPS = np.random.default_rng(0).dirichlet(np.ones(17), (3, 2, 17))


def model():
    torch.manual_seed(0)
    small = ViT(
        ViTConfig(image_size=28, patch_size=7, in_channels=1, num_classes=3, dim=8, depth=3, num_heads=2)
    ).eval()
    small.card = ModelCard(("one", "two", "three"), (0.5,), (0.25,))
    return small


def timeline():
    pictures = torch.from_numpy(GREY_NOISE).expand(2, 1, 28, 28)
    return TrainingTimeline({0: model(), 1: model()}, pictures, ("a", "b"), (0.5,), layer=0)


def reach():
    torch.manual_seed(0)
    cnn = CNN(CNNConfig((28, 28), 1, 3, block="basic", layers=(1, 1), width=4, stem="3x3")).eval()
    cnn.card = model().card
    return ReachLab((cnn, model()), GREY_NOISE)


def probes():
    random = np.random.default_rng(0)
    features = {f"stage {i}": random.normal(size=(12, 6)) for i in range(3)}
    pictures = np.stack([GREY_NOISE] * 12)[:, None]
    return ProbeLab(features, pictures, np.arange(12) % 2, 6, ["one", "two"])


OPENINGS = {  # what makes each, what only "More" shows, and what Page Up raises from where it is
    "patch_lab": (lambda: PatchLab(NOISE, 8), "Put back together", "token"),
    "token_table": (lambda: TokenTable(model(), GREY_NOISE), "Similarity with this row", "stage"),
    "position_lab": (lambda: PositionLab(model(), {"a": GREY_NOISE}), "Given to the model", "grid"),
    "attention_plane": (lambda: AttentionPlane(query=1), "1. Scores q · k", "query"),
    "attention_lab": (lambda: AttentionLab(GREY_NOISE, MAPS, 4, layer=0), "In numbers", "layer"),
    "heads_gallery": (lambda: HeadsGallery(model(), GREY_NOISE), "All classes", "layer"),
    "signal_lab": (lambda: SignalLab(depth=6), "block 1 of 6", "depth"),
    "lens_lab": (lambda: LensLab(model(), {"a": GREY_NOISE, "b": GREY_NOISE.T}, block=0), "all patches (p)", "block"),
    "model_map": (lambda: ModelMap(model(), GREY_NOISE), "Shapes and parameters", None),
    "training_timeline": (timeline, "All classes", "layer"),
    "reach_lab": (reach, "What each stage of the CNN sees", "stage"),
    "probe_lab": (probes, "Right answers, of 6 pictures", "stage"),
    "sketch_lab": (lambda: SketchLab(model(), {"a": GREY_NOISE}), "All heads on (a)", "layer"),
}


# Those on whose canvases something is written, and grows where somebody reads larger letters.
WITH_LETTERS = [name for name in OPENINGS if name not in ("reach_lab", "sketch_lab")]


@pytest.fixture(params=OPENINGS)
def opened(request, show):
    """An explorer as it opens: its page, what stands behind "More", and the choice that Page Up raises."""
    make, hidden, raised = OPENINGS[request.param]
    return show(make()), hidden, raised


def choice(lab, name):
    return lab.page.evaluate("name => vitModel.get(name)", name)


def test_an_explorer_opens_on_one_thing_and_more_holds_the_rest(opened):
    lab, hidden, _ = opened
    opener = lab.page.get_by_role("button", name="More: ")
    rest = lab.page.locator(f"#{opener.get_attribute('aria-controls')}")
    said = words(lab)
    lab.page.evaluate(
        """() => {
            window.vitAgain = [];
            const changed = (changes) => window.vitAgain.push(...changes.map((change) => change.target.textContent));
            const spoken = document.querySelector("[aria-live=polite]");
            new MutationObserver(changed).observe(spoken, { childList: true, characterData: true, subtree: true });
        }"""
    )
    for is_open, action in (
        (False, lambda: None),
        (True, opener.click),
        (False, lambda: lab.page.keyboard.press("m")),
        (True, lambda: lab.page.locator(PICTURE).press("m")),
    ):
        action()
        assert opener.get_attribute("aria-expanded") == str(is_open).lower()
        assert rest.is_visible() == is_open
        assert rest.get_by_text(hidden, exact=True).first.is_visible() == is_open
        assert lab.page.get_by_text(hidden, exact=True).count() == rest.get_by_text(hidden, exact=True).count()
        assert choice(lab, "more") == is_open
        heard = lab.page.locator("[aria-live=polite]").inner_text()
        assert heard == words(lab) or lab.lab.choice_names[1] == "drawing", "a screen reader has the words either way"
    assert words(lab) == said or lab.lab.choice_names[1] == "drawing"
    assert lab.page.evaluate("() => window.vitAgain") == [], "what has been said is not said again"


def test_more_is_a_button_that_tab_reaches_and_that_says_whether_it_is_open(opened):
    lab, hidden, _ = opened
    page = lab.page
    opener = page.get_by_role("button", name=re.compile(r"^More: .+ \(m\)$"))  # no triangle in its name
    page.locator(PICTURE).focus()
    for _ in range(60):
        page.keyboard.press("Tab")
        if opener.evaluate("opener => opener === document.activeElement"):
            break
    assert page.get_by_role("button", name="More: ", expanded=False).count() == 1
    before = lab.chosen()
    page.keyboard.press("Enter")
    assert page.get_by_role("button", name="More: ", expanded=True).count() == 1
    assert page.get_by_text(hidden, exact=True).first.is_visible()
    page.keyboard.press("Space")
    assert lab.chosen() == before, "a button that has the focus keeps Enter and Space for itself"
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.closest('.vit-more')") is None, "what is hidden is passed over"


def test_on_a_phone_it_fits_and_can_be_read(opened):
    lab, _, _ = opened
    lab.resize(380, 800)
    for more in (False, True):
        lab.set(more=more)
        assert lab.page.evaluate("() => document.documentElement.scrollWidth") <= 380
        scales = lab.page.locator("canvas[role]").evaluate_all(
            """all => all.map((one) => one.getBoundingClientRect().width / one.vitWidth).filter((scale) => scale)"""
        )
        assert min(scales) >= 0.6, "what is written there would be too small"
        lab.page.wait_for_function(
            """() => [...document.querySelectorAll(".vit-sideways")].every((box) =>
                box.scrollWidth <= box.clientWidth || box.tabIndex === 0 || box.querySelector("[tabindex]"))"""
        )  # whoever has no pointer moves it too
    fields = lab.page.evaluate(
        """() => {
            const own = document.getElementById("vit-explorers").sheet;
            const iphone = [...own.cssRules].filter((one) => one.conditionText === "(-webkit-touch-callout: none)");
            for (const { cssText } of iphone.flatMap((one) => [...one.cssRules])) {
                own.insertRule(cssText, own.cssRules.length);
            }
            const all = [...document.querySelectorAll(".vit-lab :is(select, input[type=number])")];
            return all.map((one) => parseFloat(getComputedStyle(one).fontSize));
        }"""
    )
    assert all(size >= 16 for size in fields), "an iPhone would zoom the page there"
    assert lab.page.evaluate("() => document.documentElement.scrollWidth") <= 380


def test_on_a_phone_no_letter_on_a_canvas_is_smaller_than_nine_pixels(opened):
    lab, _, _ = opened
    written = record_letters(lab)
    for width in (390, 700):  # two things side by side, where there is just room for both
        written()
        lab.resize(width, 844)
        lab.set(more=width == 390)
        letters = written()
        assert letters or type(lab.lab).__name__ in ("ReachLab", "SketchLab"), "these write on no canvas"
        assert not [one for one in letters if one["size"] < 8.999]


@pytest.mark.parametrize("width", [360, 1200])
@pytest.mark.parametrize("opened", WITH_LETTERS, indirect=True)
def test_letters_on_canvases_grow_with_the_others_and_find_their_room(opened, width):
    lab, _, _ = opened
    lab.set(more=True)
    lab.resize(width, 844)
    written = record_letters(lab)
    largest = []
    for letters in (16, 24):
        lab.set_letters(letters)
        lab.resize(width, 844)  # it is what it was
        assert bool(written()) == (letters == 24), "it draws anew where only letters change"
        lab.set(more=False)
        written()
        lab.set(more=True)  # draws once
        drawn = written()
        largest.append(max(one["size"] for one in drawn))
        assert min(one["size"] for one in drawn) >= 8.999
        for i, one in enumerate(drawn):
            (left, top, right, bottom), wide = one["box"], one["canvas"]["width"]
            assert -0.5 <= left <= right <= wide + 0.5, one
            for other in drawn[i + 1 :]:
                if other["canvas"] == one["canvas"]:
                    box = other["box"]
                    assert right <= box[0] or box[2] <= left or bottom <= box[1] or box[3] <= top, (one, other)
    assert largest[1] > 1.2 * largest[0]
    lab.set_letters(32)
    assert lab.page.evaluate("() => document.documentElement.scrollWidth") <= width


def test_a_page_that_is_zoomed_stays_sharp(opened):
    lab, _, _ = opened
    lab.set(more=True)
    blurred = lab.page.evaluate(
        """() => {
            const finer = 1.5;
            const blurred = [];
            const draw = CanvasRenderingContext2D.prototype.drawImage;
            CanvasRenderingContext2D.prototype.drawImage = function (image, ...where) {
                if ((image.vitSharp ?? finer) !== finer) blurred.push("a layer");
                draw.call(this, image, ...where);
            };
            Object.defineProperty(window, "devicePixelRatio", { value: finer });
            dispatchEvent(new Event("resize")); // an explorer has as much room as before
            const seen = [...document.querySelectorAll("canvas[role]")].filter((one) => one.checkVisibility());
            return [...blurred, ...seen.filter((one) => one.vitSharp !== finer).map((one) => one.outerHTML)];
        }"""
    )
    assert blurred == []


def test_letters_are_as_large_as_those_of_the_browser_and_of_jupyterlab_and_still_fit(opened):
    lab, _, _ = opened
    lab.set(more=True)
    sizes = """([browser, jupyterlab]) => {
        document.documentElement.style.fontSize = browser;
        document.documentElement.style.setProperty("--jp-ui-font-size1", jupyterlab);
        const size = (one) => parseFloat(getComputedStyle(one).fontSize);
        const says = (one) => [...one.childNodes].some((part) => part.nodeType === 3 && part.data.trim());
        const all = [...document.querySelectorAll(".vit-lab :not(option)")].filter(says);
        return [size(document.querySelector(".vit-lab")), Math.min(...all.map(size))];
    }"""
    assert [lab.page.evaluate(sizes, given)[0] for given in (["16px", ""], ["12px", "12px"])] == [13, 13]
    small = lab.page.evaluate(sizes, ["16px", ""])[1]
    assert lab.page.evaluate(sizes, ["16px", "17px"]) == pytest.approx([17, small * 17 / 13], abs=1e-3)
    assert lab.page.evaluate(sizes, ["24px", "13px"]) == pytest.approx([19.5, small * 1.5], abs=1e-3)
    for width in (1200, 380):
        lab.resize(width, 800)
        assert lab.page.evaluate("() => document.documentElement.scrollWidth") <= width
        cut_off = lab.page.locator(".vit-lab :is(button, select, input[type=number], td, th):visible").evaluate_all(
            "all => all.filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.outerHTML)"
        )
        assert cut_off == []


def test_page_up_raises_and_page_down_lowers_also_after_a_click_on_a_button_or_beside_one(opened):
    lab, _, raised = opened
    if raised is None:
        return
    before = choice(lab, raised)
    lab.page.get_by_role("button", name="More: ").click()
    lab.page.keyboard.press("PageUp")
    assert choice(lab, raised) > before
    lab.page.locator(".vit-look").click()
    assert lab.page.evaluate("() => document.activeElement.className") == "vit-lab"
    lab.page.keyboard.press("PageDown")
    assert choice(lab, raised) == before


def test_a_slider_and_a_list_keep_their_own_keys(show):
    lab = show(AttentionPlane())
    before = choice(lab, "q")
    lab.page.get_by_label("Temperature").focus()
    press(lab, "ArrowRight", [])
    assert (choice(lab, "temperature"), choice(lab, "q")) == (1.1, before)
    press(lab, "s", [])
    assert choice(lab, "scaled") is False, "a letter is no key of a slider"
    lab.page.get_by_label("Mask").focus()
    lab.page.keyboard.press("s")
    assert choice(lab, "scaled") is False, "a list is searched by letters"


def test_a_preset_of_the_plane_begins_anew_and_a_number_beyond_the_range_says_so(show):
    lab = show(AttentionPlane(scaled=False, temperature=2, more=True))
    lab.page.get_by_label("Begin with").select_option("one long query")
    assert (choice(lab, "scaled"), choice(lab, "temperature")) == (True, 1)
    first = lab.page.get_by_label("Its first number")
    first.fill("99")
    first.press("Enter")
    assert lab.page.locator("p[role=status]").inner_text() == "q2 reaches from -8 to 8; 99 became 8."
    first.fill("2")
    first.press("Enter")
    assert lab.page.locator("p[role=status]").inner_text() == ""
