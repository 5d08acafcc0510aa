// What a page does by itself: explorers come to life and follow the theme, the keyboard is not lost in the theme's menus,
// and the browser keeps what has been read.

/** Tell the explorers, as JupyterLab does, whether the page is light; the theme's own switch says so on <html>. */
function followTheme() {
  const root = document.documentElement;
  const tell = () => {
    document.body.dataset.jpThemeLight = String(root.dataset.theme !== "dark");
  };
  tell();
  new MutationObserver(tell).observe(root, { attributes: true, attributeFilter: ["data-theme"] });
}

/** Print dark pages as light ones, as paper is. */
function printLight() {
  const root = document.documentElement;
  let before;
  addEventListener("beforeprint", () => {
    before = root.dataset.theme;
    root.dataset.theme = "light";
  });
  addEventListener("afterprint", () => {
    root.dataset.theme = before;
  });
}

/** Let the keyboard go on at the button that opened a menu: the theme takes it from there, because of its tooltips. */
function stayOnButtons() {
  for (const button of document.querySelectorAll(".theme-switch-button, .search-button, .sidebar-toggle")) {
    button.blur = () => button.matches(":focus-visible") || HTMLElement.prototype.blur.call(button);
  }
}

/** Close the menus of a narrow page where one of their links leads to a place on it. */
function leaveMenus() {
  for (const menu of document.querySelectorAll("dialog[id$='sidebar-modal']")) {
    menu.addEventListener("click", (event) => {
      const link = event.target.closest("a[href^='#']");
      if (!link) return;
      event.preventDefault();
      menu.addEventListener("close", () => link.click(), { once: true }); // when the keyboard is back at its button
      menu.close();
    });
  }
}

// ------------------------------------------------------------------------------------------------------- progress

const KEY = "vit-tutorial";

/** What the browser keeps: { read: { lesson: true }, answered: { lesson: { number: true } } }; empty where it refuses. */
function recall() {
  try {
    return { read: {}, answered: {}, ...JSON.parse(localStorage.getItem(KEY) ?? "{}") };
  } catch {
    return { read: {}, answered: {} };
  }
}

/** Let the browser keep it; without effect where it refuses, as in some private windows. */
function remember(progress) {
  try {
    localStorage.setItem(KEY, JSON.stringify(progress));
  } catch {}
}

/** The lesson that an address leads to, such as "04_scaled_dot_product_attention"; undefined if it is no lesson. */
const lessonOf = (address) => new URL(address).pathname.match(/\/(\d\d_\w+)\.html$/)?.[1];

/** Mark the links to lessons in the sidebar and on pages that are no lesson, and say how much there is. */
function tell(progress) {
  const lessons = new Set();
  const here = lessonOf(location.href);
  const places = here ? ".bd-sidebar-primary" : ".bd-sidebar-primary, .bd-article";
  for (const place of document.querySelectorAll(places)) {
    for (const link of place.querySelectorAll("a[href]")) {
      const lesson = lessonOf(link.href);
      if (!lesson || link.hash) continue;
      lessons.add(lesson);
      link.querySelector(".vit-mark")?.remove();
      const answered = Object.keys(progress.answered[lesson] ?? {}).length;
      if (!progress.read[lesson] && !answered) continue;
      const mark = Object.assign(document.createElement("span"), { className: "vit-mark" });
      mark.textContent = [progress.read[lesson] && "✓ read", answered && `${answered} answered`]
        .filter(Boolean)
        .join(", ");
      link.append(" ", mark);
    }
  }
  const read = Object.keys(progress.read).filter((lesson) => lessons.has(lesson)).length;
  const answered = Object.values(progress.answered).reduce((sum, numbers) => sum + Object.keys(numbers).length, 0);
  for (const box of document.querySelectorAll(".vit-progress")) {
    box.hidden = read === 0 && answered === 0;
    box.querySelector(".vit-progress-words").textContent =
      `${read} of ${lessons.size} lessons read, ${answered} ${answered === 1 ? "question" : "questions"} answered.`;
  }
}

/** Keep which lessons were read to their end, and which of their questions were opened. */
function followProgress() {
  const lesson = lessonOf(location.href);
  const change = (edit) => {
    const progress = recall();
    edit(progress);
    remember(progress);
    tell(progress);
  };
  tell(recall());
  for (const button of document.querySelectorAll(".vit-progress-clear")) {
    button.addEventListener("click", () =>
      change((progress) => {
        progress.read = {};
        progress.answered = {};
      }),
    );
  }
  if (!lesson) return;
  document.querySelectorAll("details.vit-question").forEach((question, number) => {
    question.addEventListener("toggle", () => {
      if (!question.open) return;
      change((progress) => {
        progress.answered[lesson] = { ...progress.answered[lesson], [number]: true };
      });
    });
  });
  const end = document.querySelector(".prev-next-footer");
  const sight = new IntersectionObserver(([{ isIntersecting }]) => {
    if (!isIntersecting) return;
    sight.disconnect();
    change((progress) => {
      progress.read[lesson] = true;
    });
  });
  if (end) sight.observe(end);
}

const WIDE = 'mjx-container[display], figure > .vit-wide, .bd-article p > img[src$=".svg"]';

/** Let the keyboard reach what is scrolled sideways on a narrow page, long formulas and wide figures, and mark what goes on. */
async function reachWideOnes() {
  await globalThis.MathJax?.startup?.promise;
  const mark = (one) => one.classList.toggle("vit-goes-on", one.scrollLeft + one.clientWidth < one.scrollWidth - 1);
  const size = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
      mark(target);
    }
  });
  for (const wide of document.querySelectorAll(WIDE)) {
    const one = wide.matches("img") ? wide.parentElement : wide; // the box that scrolls
    size.observe(one);
    one.addEventListener("scroll", () => mark(one), { passive: true });
  }
}

followTheme();
printLight();
stayOnButtons();
leaveMenus();
followProgress();
reachWideOnes();
globalThis.vitExplorers.watch();
