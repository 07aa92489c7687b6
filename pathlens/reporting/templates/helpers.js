"use strict";
// Errors are noted on the root element, so that a test (or a reader who reports one) can see them.
const root = document.documentElement;
function noteError(message) {
  root.dataset.errors = [root.dataset.errors, String(message)].filter(Boolean).join(" | ");
}
window.addEventListener("error", (event) => noteError(event.message));
window.addEventListener("unhandledrejection", (event) => noteError(event.reason));
document.addEventListener("securitypolicyviolation", (event) =>
  noteError(`blocked: ${event.blockedURI}`));

const data = JSON.parse(document.getElementById("pathlens-data").textContent);
const byId = (id) => document.getElementById(id);

/** An HTML element; children are elements or text, never markup. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key in element) element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

/** A row a code, where other codes stand beside the paths; nothing where none do. */
function codesTable(id, rows, heads, tell) {
  const table = byId(id);
  table.hidden = rows.length < 2;
  table.replaceChildren(
    make("thead", {}, make("tr", {}, ...["code", ...heads].map((head, at) => make("th", { scope: "col", className: at ? "" : "text" }, head)))),
    make("tbody", {}, ...rows.map(([code, ...values]) => make("tr", {}, make("th", { scope: "row", className: "text" }, code),
      ...values.map((value) => make("td", {}, tell(value)))))));
}

/** An SVG element; children are elements or text. */
function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** An SVG picture of so many CSS pixels. */
function picture(width, height, label) {
  return draw("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
}

function unpackBytes(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/** Numbers from 0 to 1 out of little-endian uint16. */
function unpackShares(text) {
  const bytes = unpackBytes(text);
  const shares = new Float64Array(bytes.length / 2);
  for (let i = 0; i < shares.length; i++) shares[i] = (bytes[2 * i] + 256 * bytes[2 * i + 1]) / 65535;
  return shares;
}

/** A number with so many digits, and never "-0.00". */
const fixed = (value, digits) => (value === null ? "–" : value.toFixed(digits).replace(/^-(0\.?0*)$/, "$1"));
const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)}\u00a0%`;
const count = (number) => number.toLocaleString("en-GB");
const plural = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

function probability(p) {
  if (p === null) return "–";
  if (p < 1e-300) return "< 10⁻³⁰⁰"; // below what a double holds
  return p < 0.001 ? p.toExponential(0).replace("e-", " × 10⁻").replace(/⁻(\d+)$/, (_, digits) =>
    "⁻" + [...digits].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]).join("")) : p.toFixed(3);
}

function shorten(text, letters) {
  return text.length > letters ? `${text.slice(0, letters - 1)}…` : text;
}

/** The colour behind a CSS variable, as the present theme has it. */
const colour = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();

/** Make a canvas so many CSS pixels large, sharp on this screen, and clear it. */
function prepare(canvas, width, height) {
  const scale = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

function className(position) {
  if (position === undefined || position < 0) return "unknown";
  return data.classes[position] ?? `class ${position}`;
}

/** The class by which an image is grouped and coloured: its label, else what was predicted. */
function groupOf(image) {
  const { label, prediction } = data.images;
  return (label ?? prediction)?.[image] ?? -1;
}

/** What is known of an image, as paragraphs. */
function imageLines(image) {
  const { id, label, prediction, confidence, picture: pictures } = data.images;
  const lines = [];
  if (pictures[image]) {
    lines.push(make("img", { alt: "", src: `data:image/jpeg;base64,${pictures[image]}` }));
  }
  if (label) lines.push(make("p", {}, make("b", {}, className(label[image]))));
  if (prediction) {
    const right = label ? (label[image] === prediction[image] ? " ✓ right" : " ✗ wrong") : "";
    const sure = confidence && confidence[image] !== null ? `, confidence ${percent(confidence[image])}` : "";
    lines.push(make("p", {}, `predicted ${className(prediction[image])}${sure}${right}`));
  }
  lines.push(make("p", { className: "soft" }, id[image]));
  return lines;
}

/** Small pictures in a row, named by their ids. */
function pictureStrip(images) {
  const { picture: pictures, id } = data.images;
  return make("div", { className: "strip" }, ...images.map((image) => pictures[image]
    ? make("img", { alt: id[image], title: id[image], src: `data:image/jpeg;base64,${pictures[image]}` })
    : make("span", { className: "blank", title: id[image] }, "no picture")));
}

// Seven colours that colour-blind readers can tell apart (in the style sheet, for light and dark), and
// eight shapes: the pair of them differs for 56 classes.
const COLOURS = 7;
const SHAPES = ["circle", "square", "up", "diamond", "down", "cross", "plus", "ring"];
const colourOf = (group) => `class-${group < 0 ? COLOURS - 1 : group % COLOURS}`;
const shapeOf = (group) => SHAPES[(group < 0 ? 0 : group) % SHAPES.length];

/** The outline of a marker around (x, y) with radius r, as SVG path data (canvas takes it too). */
function markerPath(shape, x, y, r) {
  const polygon = (...points) => `M${points.map(([a, b]) => `${x + a * r} ${y + b * r}`).join("L")}Z`;
  const round = (radius) => `M${x - radius} ${y}a${radius} ${radius} 0 1 0 ${2 * radius} 0a${radius} ${radius} 0 1 0 ${-2 * radius} 0Z`;
  const plus = [[-.35, -1.1], [.35, -1.1], [.35, -.35], [1.1, -.35], [1.1, .35], [.35, .35],
    [.35, 1.1], [-.35, 1.1], [-.35, .35], [-1.1, .35], [-1.1, -.35], [-.35, -.35]];
  const turned = plus.map(([a, b]) => [(a - b) * Math.SQRT1_2, (a + b) * Math.SQRT1_2]);
  switch (shape) {
    case "square": return polygon([-.88, -.88], [.88, -.88], [.88, .88], [-.88, .88]);
    case "up": return polygon([0, -1.1], [1.05, .8], [-1.05, .8]);
    case "down": return polygon([0, 1.1], [1.05, -.8], [-1.05, -.8]);
    case "diamond": return polygon([0, -1.25], [1.05, 0], [0, 1.25], [-1.05, 0]);
    case "plus": return polygon(...plus);
    case "cross": return polygon(...turned);
    case "ring": return `${round(r)}${round(r * .5)}`;
    default: return round(r);
  }
}

/** Tell `redraw` when the element's width, the theme or the medium (screen, paper) has changed. */
function watch(element, redraw) {
  let width = -1;
  new ResizeObserver(() => {
    if (Math.abs(element.clientWidth - width) < 1) return;
    width = element.clientWidth;
    redraw();
  }).observe(element);
  for (const query of ["(prefers-color-scheme: dark)", "print"]) {
    matchMedia(query).addEventListener("change", redraw);
  }
}

// What is shown: one layer in all figures, and the filters of it that are marked.
const view = { at: 0, marked: [] };
const listeners = [];
const onLayer = (listener) => listeners.push(listener);
const layer = () => data.layers[view.at];

function showLayer(at, marked = []) {
  view.at = clamp(at, 0, data.layers.length - 1);
  view.marked = marked;
  for (const listener of listeners) {
    // One figure that fails must not take the others with it.
    try { listener(); } catch (error) { noteError(error.stack ?? error); }
  }
}
