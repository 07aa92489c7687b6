// The barcode: rows are images in the order of their classes, columns are filters, dark is on.
const barcode = { rows: data.barcode.rows, columns: [], bands: [], row: -1, column: -1 };
const RATES = 34; // height of the bars on top, in CSS pixels
const BELOW_RATES = 6;

function barcodeBands() {
  const bands = [];
  for (let row = 0; row < barcode.rows; row++) {
    const group = groupOf(row); // the images of the barcode come first, in its order
    if (!bands.length || bands[bands.length - 1].group !== group) bands.push({ group, from: row, to: row });
    bands[bands.length - 1].to = row + 1;
  }
  const room = Math.max(260, Math.min(620, window.innerHeight - 560)); // the first screen holds all of it
  const gap = bands.length > 60 ? 1 : 3;
  barcode.rowHeight = clamp(Math.floor((room - gap * bands.length) / barcode.rows), 1, 16);
  let y = RATES + BELOW_RATES;
  for (const band of bands) {
    band.y = y;
    band.height = (band.to - band.from) * barcode.rowHeight;
    y += band.height + gap;
  }
  barcode.bands = bands;
  barcode.height = y - gap;
}

function barcodeColumns() {
  const { rates, states, spread, filters } = layer();
  let columns = Array.from({ length: filters }, (_, filter) => filter);
  if (byId("barcode-dynamic").checked) columns = columns.filter((filter) => states[filter] === "d");
  const order = byId("barcode-sort").value;
  const key = order === "rate" ? rates : order === "spread" && spread ? unpackShares(spread) : null;
  if (key) columns.sort((a, b) => key[b] - key[a] || a - b);
  const marked = view.marked.filter((filter) => columns.includes(filter));
  barcode.columns = [...marked, ...columns.filter((filter) => !marked.includes(filter))];
  barcode.bytes = unpackBytes(data.barcode.bits[view.at]);
  barcode.stride = Math.ceil(filters / 8);
}

const isOn = (row, filter) => (barcode.bytes[row * barcode.stride + (filter >> 3)] >> (filter & 7)) & 1;

/** The bits as a picture of one pixel a bit. */
function barcodeImage(on, off) {
  const { rows, columns } = barcode;
  const canvas = make("canvas", { width: Math.max(1, columns.length), height: rows });
  const context = canvas.getContext("2d");
  context.fillStyle = off;
  context.fillRect(0, 0, canvas.width, rows);
  context.fillStyle = on;
  for (let row = 0; row < rows; row++) {
    for (let x = 0; x < columns.length; x++) if (isOn(row, columns[x])) context.fillRect(x, row, 1, 1);
  }
  return canvas;
}

function drawBarcode() {
  const width = byId("barcode-plot").clientWidth;
  if (!width) return;
  const context = prepare(byId("barcode-canvas"), width, barcode.height);
  const { columns } = barcode;
  const cell = barcode.cell = width / Math.max(1, columns.length);
  const image = barcodeImage(colour("on"), colour("off"));
  context.imageSmoothingEnabled = cell < 1.5;
  for (const band of barcode.bands) {
    context.drawImage(image, 0, band.from, image.width, band.to - band.from, 0, band.y, width, band.height);
  }
  drawRates(context, cell);
  if (cell >= 5) {
    context.fillStyle = colour("paper");
    for (let x = 1; x < columns.length; x++) context.fillRect(x * cell - 0.5, RATES + BELOW_RATES, 1, barcode.height);
  }
  if (!columns.length) {
    context.fillStyle = colour("soft");
    context.font = "15px sans-serif";
    context.fillText("This layer has no dynamic filter.", 12, RATES + 40);
  }
  labelBands();
}

/** On top: a bar a filter, as high as the share of all images it is on for; marked ones in red. */
function drawRates(context, cell) {
  const { rates, states } = layer();
  const tint = { h: colour("high"), d: colour("dynamic"), m: colour("mute") };
  const inset = cell > 4 ? 0.5 : 0;
  barcode.columns.forEach((filter, x) => {
    const height = Math.max(1, rates[filter] * (RATES - 4));
    context.fillStyle = view.marked.includes(filter) ? colour("mark") : tint[states[filter]];
    context.fillRect(x * cell + inset, RATES - height, Math.max(0.5, cell - 2 * inset), height);
  });
  context.fillStyle = colour("rule");
  context.fillRect(0, RATES, barcode.columns.length * cell, 1);
}

function labelBands() {
  const labels = byId("barcode-labels");
  labels.replaceChildren(make("span", { className: "small", style: `top:${RATES / 2}px` }, "share on"));
  labels.style.height = `${barcode.height}px`;
  let free = RATES;
  for (const band of barcode.bands) {
    const middle = band.y + band.height / 2;
    if (middle - 6 < free || !data.barcode.by) continue;
    const name = className(band.group);
    labels.append(make("span", { style: `top:${middle}px`, title: name }, name));
    free = middle + 7;
  }
}

function barcodeAt(event) {
  const box = byId("barcode-canvas").getBoundingClientRect();
  const y = event.clientY - box.top;
  const band = barcode.bands.find((each) => y < each.y + each.height) ?? barcode.bands.at(-1);
  pointAt(
    clamp(band.from + Math.floor((y - band.y) / barcode.rowHeight), band.from, band.to - 1),
    clamp(Math.floor((event.clientX - box.left) / barcode.cell), 0, barcode.columns.length - 1),
  );
}

/** Put the cross hairs on an image and a filter, and say beside what is there. */
function pointAt(row, column) {
  if (!barcode.columns.length) return;
  Object.assign(barcode, { row, column });
  const band = barcode.bands.find((each) => row < each.to);
  const across = byId("barcode-row");
  const down = byId("barcode-column");
  across.hidden = down.hidden = false;
  const y = band.y + (row - band.from) * barcode.rowHeight;
  across.style.cssText = `left:0;right:0;top:${y - 1.5}px;height:${barcode.rowHeight + 3}px`;
  down.style.cssText = `top:0;height:${barcode.height}px;left:${column * barcode.cell - 1.5}px;width:${barcode.cell + 3}px`;
  byId("barcode-card").replaceChildren(...imageLines(row), ...filterLines(row, barcode.columns[column], band));
}

function filterLines(row, filter, band) {
  const { rates, states } = layer();
  const state = { h: "high-energy", d: "dynamic", m: "mute" }[states[filter]];
  const lines = [
    make("p", {}, make("b", {}, `Filter ${filter}`), isOn(row, filter) ? " is on for this image" : " is off for this image"),
    make("p", {}, `on for ${percent(rates[filter], 1)} of all images: ${state}`),
  ];
  if (data.barcode.by) {
    let on = 0;
    for (let each = band.from; each < band.to; each++) on += isOn(each, filter);
    lines.push(make("p", {}, `on for ${on} of the ${band.to - band.from} images of ${className(band.group)} shown`));
  }
  return lines;
}

/** Before anybody points: the first image and the first filter, and what can be done. */
function barcodeHint() {
  barcode.row = barcode.column = -1;
  const card = byId("barcode-card");
  card.replaceChildren();
  if (barcode.columns.length && barcode.rows) pointAt(0, 0);
  card.append(make("p", { className: "soft hint" },
    "Point at the barcode, or step into it with the Tab key and use the arrow keys, to see other images and filters."));
}

function barcodeKey(event) {
  const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  if (!step) return;
  event.preventDefault();
  pointAt(
    clamp(barcode.row + step[0], 0, barcode.rows - 1),
    clamp(barcode.column + step[1], 0, barcode.columns.length - 1),
  );
}

function barcodeFinding() {
  const { filters, dynamic, high_energy: high, mute, density, rates } = layer();
  const parts = [`Of the ${plural(filters, "filter")} of this layer ${count(dynamic)} ${dynamic === 1 ? "is" : "are"} dynamic, ` +
    `${count(high)} always on and ${count(mute)} always off; an image switches on ${percent(density)} of them on average.`];
  const best = layer().spread ? unpackShares(layer().spread) : [];
  const filter = best.length ? best.indexOf(Math.max(...best)) : -1;
  if (filter >= 0 && best[filter] > 0) {
    parts.push(` Filter ${filter} differs most between classes: the share of images it is on for differs by ` +
      `${Math.round(100 * best[filter])} percentage points from one class to another (over all images: ${percent(rates[filter])}).`);
  }
  if (view.marked.length) parts.push(` Marked, at the left: ${view.marked.map((each) => `filter ${each}`).join(", ")}.`);
  byId("barcode-finding").replaceChildren(...parts);
}

function setUpBarcode() {
  const plot = byId("barcode-plot");
  const renew = () => { barcodeColumns(); drawBarcode(); barcodeHint(); };
  barcodeBands();
  plot.addEventListener("pointermove", barcodeAt);
  plot.addEventListener("pointerdown", barcodeAt);
  plot.addEventListener("keydown", barcodeKey);
  byId("barcode-sort").addEventListener("change", renew);
  byId("barcode-dynamic").addEventListener("change", renew);
  byId("barcode-unmark").addEventListener("click", () => showLayer(view.at));
  watch(plot, () => { drawBarcode(); barcodeHint(); });
  onLayer(() => {
    byId("barcode-unmark").hidden = !view.marked.length;
    renew();
    barcodeFinding();
  });
}
