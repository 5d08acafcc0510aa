// Explorers on a page without a kernel.
//
// vitExplorers.mount(element, { state, esm, css }) gives a view its model. `state` is what the explorer in Python would
// send, with bytes as { base64: "..." }, or as { array: "DIGEST" } where they lie in a script of their own.
//
// vitExplorers.watch() brings each <div class="vit-explorer" data-needs="..."> of the page to life when it comes into
// sight, and tries again where the network failed. Where the page was seen before in this window, each place has its
// height at once, so that the browser finds the way back to where the reader was.
//
// What a place needs are names of scripts beside this one, each of which calls vitExplorers.keep(name, value): a page
// that was opened as a file may run scripts, but not fetch. The state is the first of them. An array, "arrays/DIGEST",
// is kept in base 64 as gzip packs it.
globalThis.vitExplorers = (() => {
  const kept = new Map();
  const loading = new Map();
  const folder = document.currentScript?.src.replace(/[^/]*$/, "") ?? "";

  /** The state as in JupyterLab, where bytes are DataViews. */
  function decoded(value) {
    if (Array.isArray(value)) return value.map(decoded);
    if (value === null || typeof value !== "object") return value;
    if ("base64" in value) return new DataView(bytesOf(value.base64).buffer);
    if (typeof value.array === "string") return kept.get(`arrays/${value.array}`);
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, decoded(inner)]));
  }

  function bytesOf(base64) {
    const letters = atob(base64);
    const bytes = new Uint8Array(letters.length);
    for (let at = 0; at < letters.length; at++) bytes[at] = letters.charCodeAt(at);
    return bytes;
  }

  async function unpacked(base64) {
    const stream = new Blob([bytesOf(base64)]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new DataView(await new Response(stream).arrayBuffer());
  }

  /** What a view asks of a model; `receive` changes it as a kernel would, `onSave` hears what a kernel would. */
  function modelOf(state, onSave) {
    const listeners = new Map();
    let unsaved = {};
    const fire = (event) => {
      for (const callback of [...(listeners.get(event) ?? [])]) callback();
    };
    const receive = (changes) => {
      const changed = Object.entries(changes).filter(([name, value]) => state[name] !== value);
      Object.assign(state, Object.fromEntries(changed));
      for (const [name] of changed) fire(`change:${name}`);
      if (changed.length) fire("change");
    };
    return {
      receive,
      get: (name) => state[name],
      set(name, value) {
        unsaved[name] = value;
        receive({ [name]: value });
      },
      save_changes() {
        onSave(unsaved);
        unsaved = {};
      },
      on: (event, callback) => void listeners.set(event, [...(listeners.get(event) ?? []), callback]),
      off: (event, callback) =>
        void listeners.set(
          event,
          (listeners.get(event) ?? []).filter((one) => one !== callback),
        ),
      send() {},
    };
  }

  /** Draw an explorer into an element, and return its model. */
  async function mount(el, { state, esm, css }, onSave = () => {}) {
    if (css && !document.getElementById("vit-explorers")) {
      document.head.append(Object.assign(document.createElement("style"), { id: "vit-explorers", textContent: css }));
    }
    const url = URL.createObjectURL(new Blob([esm], { type: "text/javascript" }));
    const view = (await import(url)).default;
    URL.revokeObjectURL(url);
    const model = modelOf(decoded(state), onSave);
    view.render({ model, el });
    return model;
  }

  /** Let two models have one value for a choice each, as jslink does. */
  function link(one, choice, other, otherChoice) {
    one.on(`change:${choice}`, () => other.receive({ [otherChoice]: one.get(choice) }));
    other.on(`change:${otherChoice}`, () => one.receive({ [choice]: other.get(otherChoice) }));
  }

  const keep = (name, value) => void kept.set(name, value);

  /** Run the script of this name, once if it arrives, and return what it keeps. */
  function load(name) {
    if (!loading.has(name)) {
      loading.set(name, run(name));
      loading.get(name).catch(() => loading.delete(name));
    }
    return loading.get(name);
  }

  async function run(name) {
    await new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.onload = resolve;
      script.onerror = () => {
        script.remove();
        reject(new Error(`${name}.js did not come: there is no network, or the site was not made whole`));
      };
      script.src = `${folder}${name}.js`;
      document.head.append(script);
    });
    if (name.startsWith("arrays/")) kept.set(name, await unpacked(kept.get(name)));
    return kept.get(name);
  }

  /** Put the living explorers of a place where their still picture stands; whoever waits there is led into them. */
  async function show(place) {
    const [{ explorers, links }] = await Promise.all(place.dataset.needs.split(" ").map(load));
    const row = Object.assign(document.createElement("div"), { className: "vit-alive" });
    const models = [];
    for (const { view, state } of explorers) {
      const el = document.createElement("div");
      row.append(el);
      models.push(await mount(el, { state, esm: kept.get(`views/${view}`) }));
    }
    for (const [one, choice, other, otherChoice] of links) link(models[one], choice, models[other], otherChoice);
    const isAwaited = place.contains(document.activeElement);
    place.replaceChildren(row);
    place.dataset.alive = "";
    for (const name of ["tabindex", "role", "aria-label"]) place.removeAttribute(name);
    if (isAwaited) row.querySelector("button, input, select, [tabindex='0']").focus();
  }

  /** Show a place, and say below its still picture what goes on; whether it lives now. */
  async function tryToShow(place) {
    const caption = place.querySelector("figcaption") ?? document.createElement("p");
    caption.textContent = "A still picture. The explorer is on its way.";
    try {
      await show(place);
      place.style.minHeight = "";
    } catch (problem) {
      caption.textContent = "A still picture. The explorer did not come; it is tried again when you come back to it.";
      console.warn(problem.message);
    }
    return "alive" in place.dataset;
  }

  const HEIGHTS = `vit-heights ${location.pathname}`;

  function heightsSoFar() {
    try {
      return JSON.parse(sessionStorage.getItem(HEIGHTS)) ?? [];
    } catch {
      return []; // a browser may keep nothing
    }
  }

  function keepHeights(places, before) {
    const now = (place, i) => ("alive" in place.dataset ? [innerWidth, place.offsetHeight] : before[i]);
    try {
      sessionStorage.setItem(HEIGHTS, JSON.stringify(places.map(now)));
    } catch {
      // then the way back is not found, and nothing else is lost
    }
  }

  function watch() {
    const places = [...document.querySelectorAll(".vit-explorer")];
    const heights = heightsSoFar();
    for (const [i, place] of places.entries()) {
      const [width, height] = heights[i] ?? [];
      if (width === innerWidth) place.style.minHeight = `${height}px`;
      // else the Tab key, which looks for the next control, would pass what has none yet
      Object.assign(place, { tabIndex: 0, role: "group", ariaLabel: "Explorer" });
    }
    const tried = new Set(); // places that are on their way
    const come = async (place) => {
      tried.add(place);
      if (await tryToShow(place)) sight.unobserve(place);
      tried.delete(place);
    };
    const sight = new IntersectionObserver(
      (entries) => {
        for (const { isIntersecting, target } of entries) if (isIntersecting && !tried.has(target)) come(target);
      },
      { rootMargin: "200px" },
    );
    const look = () => {
      for (const place of places) {
        sight.unobserve(place); // so that it is looked at anew
        if (!("alive" in place.dataset)) sight.observe(place);
      }
    };
    look();
    addEventListener("online", look);
    addEventListener("pagehide", () => keepHeights(places, heights));
  }

  return { mount, keep, watch };
})();
