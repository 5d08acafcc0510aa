// Shared by all explorers; each explorer's own file follows in the same module.

/** Make an element: make("label", { className: "x", textContent: "y" }, child, ...). */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "for") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

let lastId = 0;

/** A control with its label above it, tied together so that a screen reader names it. */
function labelled(text, control, ...after) {
  control.id = `vit-control-${++lastId}-${Math.random().toString(36).slice(2, 8)}`;
  return make("div", { className: "vit-field" }, make("label", { for: control.id, textContent: text }), make("span", {}, control, ...after));
}

/** A list to choose from; choices are [value, text] pairs. */
function chooser(choices, onChoose) {
  const select = make("select");
  fill(select, choices);
  select.addEventListener("change", () => onChoose(select.value));
  return select;
}

/** Put the choices into a list, and leave the list alone if it has them already. */
function fill(select, choices) {
  const key = JSON.stringify(choices);
  if (select.dataset.key === key) return;
  select.dataset.key = key;
  select.replaceChildren(...choices.map(([value, text]) => make("option", { value, textContent: text })));
}

/** A slider over whole numbers. */
function slider(least, most, onSlide) {
  const input = make("input", { type: "range", min: least, max: most, step: 1 });
  input.addEventListener("input", () => onSlide(Number(input.value)));
  return input;
}

/** The outer box of an explorer; keys pressed inside it stay inside it. */
function frame(el, name, lookFor, lead = "What to look for") {
  const root = make("div", { className: "vit-lab", role: "group", "aria-label": name, "data-lm-suppress-shortcuts": "true" });
  root.addEventListener("keydown", (event) => event.stopPropagation());
  root.append(make("p", { className: "vit-look" }, make("strong", { textContent: `${lead}: ` }), lookFor));
  el.append(root);
  return root;
}

/** A canvas of width x height CSS pixels, sharp on any screen. */
function sheet(width, height, properties = {}) {
  const canvas = make("canvas", properties);
  resize(canvas, width, height);
  return canvas;
}

/** Give a canvas a size in CSS pixels, and let its drawing units be CSS pixels. */
function resize(canvas, width, height) {
  const sharp = Math.max(1, window.devicePixelRatio || 1);
  if (canvas.vitWidth === width && canvas.vitHeight === height && canvas.vitSharp === sharp) return;
  Object.assign(canvas, { vitWidth: width, vitHeight: height, vitSharp: sharp });
  canvas.width = Math.round(width * sharp);
  canvas.height = Math.round(height * sharp);
  canvas.style.width = `${width}px`;
  canvas.style.aspectRatio = `${width} / ${height}`;
}

/** The context of a cleared canvas, in CSS pixels; `smooth` blurs enlarged pixels. */
function pen(canvas, smooth = false) {
  const context = canvas.getContext("2d");
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.setTransform(canvas.vitSharp, 0, 0, canvas.vitSharp, 0, 0);
  context.imageSmoothingEnabled = smooth;
  context.imageSmoothingQuality = "high";
  return context;
}

/** Where the pointer is, in the canvas' own CSS pixels. */
function pointer(canvas, event) {
  const box = canvas.getBoundingClientRect();
  return [((event.clientX - box.left) * canvas.vitWidth) / box.width, ((event.clientY - box.top) * canvas.vitHeight) / box.height];
}

/** A frame that is seen on every background: dark outside, light inside. */
function mark(context, x, y, width, height, thick = 2) {
  context.lineJoin = "miter";
  for (const [style, line, out] of [["#000000", thick + 2, 0], ["#ffffff", thick, 0]]) {
    context.strokeStyle = style;
    context.lineWidth = line;
    context.strokeRect(x - out, y - out, width + 2 * out, height + 2 * out);
  }
}

/** A short text that is read on every background. */
function tag(context, text, x, y, size) {
  context.font = `600 ${size}px system-ui, "DejaVu Sans", sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineJoin = "round";
  context.lineWidth = Math.max(2, size / 4);
  context.strokeStyle = "rgba(0, 0, 0, 0.75)";
  context.fillStyle = "#ffffff";
  context.strokeText(text, x, y);
  context.fillText(text, x, y);
}

/** The bytes of a trait, copied so that they start on an even address. */
function bytesOf(view) {
  return new Uint8Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}

/** Half-precision numbers as ordinary ones. */
function unpackHalf(bytes) {
  const halves = new Uint16Array(bytes.buffer);
  const numbers = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) {
    const exponent = (halves[i] >> 10) & 31;
    const fraction = halves[i] & 1023;
    const size = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
    numbers[i] = halves[i] & 32768 ? -size : size;
  }
  return numbers;
}

/** A canvas that holds a picture pixel by pixel; `colourAt(i)` writes pixel i into the array. */
function plane(width, height, colourAt) {
  const canvas = make("canvas", { width, height });
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    colourAt(i, image.data, 4 * i);
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** Write pixel i of a picture stored channel by channel; a grey one gets three equal channels. */
function pixelOf(picture) {
  const { pixels, channels, height, width } = picture;
  const next = channels === 1 ? 0 : height * width;
  return (i, into, at) => {
    into[at] = pixels[i];
    into[at + 1] = pixels[i + next];
    into[at + 2] = pixels[i + 2 * next];
  };
}

/** A canvas that holds the 256 colours of a palette side by side. */
function paletteStrip(palette) {
  return plane(256, 1, (i, into, at) => into.set(palette.subarray(3 * i, 3 * i + 3), at));
}

/** A canvas that holds a picture without its colours. */
function greyPlane(picture) {
  const write = pixelOf(picture);
  return plane(picture.width, picture.height, (i, into, at) => {
    write(i, into, at);
    into.fill((into[at] + into[at + 1] + into[at + 2]) / 3, at, at + 3);
  });
}

/** Width and height of a picture whose longer side is `side` CSS pixels. */
function fitted(picture, side) {
  const scale = side / Math.max(picture.width, picture.height);
  return [Math.round(picture.width * scale), Math.round(picture.height * scale)];
}

/** 38416 -> "38,416". */
const count = (number) => number.toLocaleString("en-US");
/** 0.0625 -> "6.3%". */
const percent = (share) => `${(Math.floor(share * 1000 + 0.5) / 10).toFixed(1)}%`;
/** Like percent, but a small share keeps two digits: 0.000012 -> "0.0012%"; "<0.001%" below that. */
const finePercent = (share) => (share >= 0.0005 ? percent(share) : share < 1e-5 ? "<0.001%" : `${(100 * share).toPrecision(2)}%`);
/** 2.345 -> "2.35". */
const decimals = (number, digits = 2) => (Math.floor(number * 10 ** digits + 0.5) / 10 ** digits).toFixed(digits);

/** Pairs of a name and a number that can be changed in place: table.show("tokens", "196"). */
function numberTable(names) {
  const list = make("dl", { className: "vit-numbers" });
  const cells = {};
  for (const [key, text] of names) {
    cells[key] = make("dd");
    list.append(make("dt", { textContent: text }), cells[key]);
  }
  return { list, show: (key, text) => void (cells[key].textContent !== text && (cells[key].textContent = text)) };
}

/** A titled part of an explorer. */
function panel(title, ...children) {
  return make("section", { className: "vit-panel" }, make("div", { className: "vit-heading", textContent: title }), ...children);
}

/** Draw now, when the page takes the explorer in, and whenever the state or the theme changes; returns the way to stop. */
function live(model, root, draw) {
  draw();
  let width = 0;
  const size = new ResizeObserver(() => {
    if (root.clientWidth !== width) draw();
    width = root.clientWidth;
  });
  size.observe(root);
  model.on("change", draw);
  const theme = new MutationObserver(draw);
  theme.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-name", "data-jp-theme-light"] });
  return () => {
    model.off("change", draw);
    theme.disconnect();
    size.disconnect();
  };
}

/** Change traits together and tell the kernel. */
function set(model, changes) {
  for (const [name, value] of Object.entries(changes)) model.set(name, value);
  model.save_changes();
}
