// Filter states over depth: a stacked bar a layer, with the share of gates on as dots.
function statesChart() {
  const box = byId("states-chart");
  const width = box.clientWidth;
  if (!width) return;
  const { svg, left, step, top, height } = depthAxes(width, 250, "Shares of filter states and of gates on, per layer", percent);
  svg.prepend(draw("defs", {}, draw("pattern",
    { id: "hatching", width: 7, height: 7, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
    draw("path", { d: "M0 0V7", class: "hatch" }))));
  const bar = Math.min(56, step * 0.78);
  data.layers.forEach((each, at) => {
    const x = left + (at + 0.5) * step - bar / 2;
    let y = top + height;
    for (const [name, number] of [["high", each.high_energy], ["dynamic", each.dynamic], ["mute", each.mute]]) {
      const tall = (number / each.filters) * height;
      y -= tall;
      svg.append(draw("rect", { x, y, width: bar, height: tall, class: name }));
      if (name === "mute" && tall) svg.append(draw("rect", { x, y, width: bar, height: tall, fill: "url(#hatching)" }));
    }
  });
  const dots = data.layers.map((each, at) => [left + (at + 0.5) * step, top + height * (1 - each.density)]);
  svg.append(draw("path", { class: "line", d: `M${dots.map((dot) => dot.join(" ")).join("L")}` }));
  for (const [x, y] of dots) svg.append(draw("circle", { cx: x, cy: y, r: Math.min(4.5, step / 3), class: "dot" }));
  depthHits(svg, { left, step, top, height }, (each) => `layer ${each.index}, ${each.name}: ${each.high_energy} high-energy, ` +
    `${each.dynamic} dynamic, ${each.mute} mute of ${each.filters} filters; ${percent(each.density)} of gates on`);
  box.replaceChildren(svg);
}

/** Axes of a figure over depth, layers from left to right; `tick` names a height from 0 to 1. */
function depthAxes(width, tall, label, tick) {
  const left = 44;
  const top = 8;
  const height = tall - top - 40;
  const svg = picture(width, tall, label);
  const step = Math.min(90, (width - left - 4) / data.layers.length);
  for (let i = 0; i <= 4; i++) {
    const y = top + height * (1 - i / 4);
    svg.append(draw("path", { class: "grid", d: `M${left} ${y}H${left + step * data.layers.length}` }));
    svg.append(draw("text", { x: left - 6, y: y + 4, "text-anchor": "end" }, tick(i / 4)));
  }
  const every = Math.ceil(24 / step);
  data.layers.forEach((each, at) => {
    if (at % every && at !== view.at) return;
    if (at !== view.at && Math.abs(at - view.at) < every) return;
    svg.append(draw("text", { x: left + (at + 0.5) * step, y: top + height + 16, "text-anchor": "middle",
      class: at === view.at ? "strong" : "" }, String(each.index)));
  });
  svg.append(draw("text", { x: left, y: tall - 4 }, "layer, from the first to the last →"));
  return { svg, left, step, top, height };
}

/** A frame around the layer shown, and over each layer a place to choose it by. */
function depthHits(svg, { left, step, top, height }, describe) {
  svg.append(draw("rect", { class: "chosen", x: left + view.at * step + 1, y: top - 4, width: step - 2, height: height + 8, rx: 3 }));
  data.layers.forEach((each, at) => {
    const hit = draw("rect", { class: "hit", x: left + at * step, y: top, width: step, height: height + 20 },
      draw("title", {}, describe(each, at)));
    hit.addEventListener("click", () => showLayer(at));
    svg.append(hit);
  });
}

function statesTable() {
  const heads = ["layer", "name", "filters", "high-energy", "dynamic", "mute", "gates on"];
  const body = data.layers.map((each) => make("tr", {},
    make("td", {}, String(each.index)), make("td", { className: "text" }, each.name),
    ...[each.filters, each.high_energy, each.dynamic, each.mute].map((number) => make("td", {}, count(number))),
    make("td", {}, percent(each.density, 1))));
  byId("states-table").replaceChildren(
    make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col", className: head === "name" ? "text" : "" }, head)))),
    make("tbody", {}, ...body));
}

function statesFinding() {
  const share = (each) => each.dynamic / each.filters;
  const most = data.layers.reduce((a, b) => (share(b) > share(a) ? b : a));
  const least = data.layers.reduce((a, b) => (share(b) < share(a) ? b : a));
  byId("states-finding").textContent = data.layers.length === 1
    ? `Layer ${most.index}: ${percent(share(most))} of its ${count(most.filters)} filters are dynamic at ${count(data.barcode.of)} images.`
    : `From layer to layer between ${percent(share(least))} (layer ${least.index}) and ${percent(share(most))} ` +
      `(layer ${most.index}) of the filters are dynamic at ${count(data.barcode.of)} images.`;
}

function setUpStates() {
  statesTable();
  codesTable("states-codes", data.sections.states.codes, ["filters", "high-energy", "mute", "dynamic"], count);
  statesFinding();
  watch(byId("states-chart"), statesChart);
  onLayer(statesChart);
}
