// An explorer on a page without a kernel: vitExplorers.mount(element, { state, esm, css }) gives its view a model.
// `state` is what the explorer in Python would send, with bytes as { base64: "..." }.
globalThis.vitExplorers = (() => {
  /** The state as in JupyterLab, where bytes are DataViews. */
  function decoded(value) {
    if (Array.isArray(value)) return value.map(decoded);
    if (value === null || typeof value !== "object") return value;
    if ("base64" in value) {
      return new DataView(Uint8Array.from(atob(value.base64), (letter) => letter.charCodeAt(0)).buffer);
    }
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, decoded(inner)]));
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
    if (!document.getElementById("vit-explorers")) {
      document.head.append(Object.assign(document.createElement("style"), { id: "vit-explorers", textContent: css }));
    }
    const url = URL.createObjectURL(new Blob([esm], { type: "text/javascript" }));
    const view = (await import(url)).default;
    URL.revokeObjectURL(url);
    const model = modelOf(decoded(state), onSave);
    view.render({ model, el });
    return model;
  }

  return { mount };
})();
