// Traces: the filters that set a class apart, layer by layer, and which of them are on together.
const NO_CLASS = "-1";
const HOLDS = 0.05; // corrected p below which a filter is drawn as sure
const SLOT = 24; // height of a node's place, in CSS pixels

const traced = (id) => data.sections.traces.classes[Number(byId(id).value)];

function tracePlaces(nodes, columns) {
  const places = new Map();
  for (const [layerIndex, x] of columns) {
    const here = nodes.filter((node) => node[0] === layerIndex).sort((a, b) => (b[2] - b[3]) - (a[2] - a[3]));
    here.forEach((node, at) => places.set(`${node[0]}/${node[1]}`, [x, 14 + at * SLOT, node]));
  }
  return places;
}

function traceNode(svg, [x, y, [layerIndex, filter, inside, outside, p]], step) {
  const radius = Math.min(3 + 6 * inside, step / 2 - 1, 9);
  const kind = p === null || p >= HOLDS ? "unsure" : inside > outside ? "dynamic" : "less";
  const mark = draw("circle", { class: `node ${kind}`, cx: x, cy: y, r: Math.max(2.5, radius) },
    draw("title", {}, `layer ${layerIndex}, filter ${filter}: on for ${percent(inside)} of the class, ${percent(outside)} of the others; corrected p ${probability(p)}`));
  const at = data.layers.findIndex((each) => each.index === layerIndex);
  if (at >= 0) {
    mark.classList.add("hit-node");
    mark.addEventListener("click", () => { showLayer(at, [filter]); byId("barcode").scrollIntoView(); });
  }
  svg.append(mark);
}

/** One class as a flow; all classes on the page have their layers at the same places. */
function traceFlow(one, width) {
  const { layers } = data.sections.traces;
  const left = 8;
  const step = Math.max(16, (width - 2 * left) / layers.length);
  const columns = new Map(layers.map(([index], at) => [index, left + (at + 0.5) * step]));
  const places = tracePlaces(one.nodes, columns);
  const tall = Math.max(40, ...[...places.values()].map(([, y]) => y)) + 34;
  const svg = picture(left * 2 + step * layers.length, tall, `Flow of ${one.name} through the layers`);
  for (const [from, filter, to, next, phi] of one.links) {
    const [start, end] = [places.get(`${from}/${filter}`), places.get(`${to}/${next}`)];
    if (!start || !end) continue;
    const bend = (end[0] - start[0]) / 2;
    svg.append(draw("path", { class: "together", "stroke-width": (0.6 + 7 * Math.abs(phi)).toFixed(2),
      d: `M${start[0]} ${start[1]}C${start[0] + bend} ${start[1]} ${end[0] - bend} ${end[1]} ${end[0]} ${end[1]}` },
    draw("title", {}, `layer ${from} filter ${filter} and layer ${to} filter ${next}: φ ${phi.toFixed(2)}`)));
  }
  for (const place of places.values()) traceNode(svg, place, step);
  const every = Math.ceil(22 / step);
  layers.forEach(([index], at) => {
    if (at % every === 0) svg.append(draw("text", { x: columns.get(index), y: tall - 6, "text-anchor": "middle" }, String(index)));
  });
  return svg;
}

function tracesChart() {
  const box = byId("traces-chart");
  const width = box.clientWidth;
  if (!width) return;
  const shown = [traced("traces-first"), traced("traces-second")].filter(Boolean);
  box.replaceChildren(...shown.flatMap((one) => [make("h3", {}, one.name), traceFlow(one, width)]));
  const leftOut = data.sections.traces.left_out;
  byId("traces-finding").textContent = shown[0].summary + (leftOut ? ` Left out: ${leftOut}.` : "");
  const heads = ["code", "filters that hold", "links that hold", "largest difference", "shuffled, 95 %", "p"];
  byId("traces-scores").replaceChildren(
    make("thead", {}, make("tr", {}, make("th", { scope: "col", className: "text" }, "class"), ...heads.map((head) => make("th", { scope: "col" }, head)))),
    make("tbody", {}, ...shown.flatMap((one) => one.scores.map((score) => make("tr", {}, make("th", { scope: "row", className: "text" }, one.name),
      ...[score.code, `${score.filters} of ${score.tested_filters}`, `${score.links} of ${score.tested_links}`,
        fixed(score.top_difference, 2), fixed(score.chance_95, 2), probability(score.p)].map((text) => make("td", {}, text)))))));
}

function setUpTraces() {
  const found = data.sections.traces;
  byId("traces-box").hidden = Boolean(found.gap);
  byId("traces-gap").hidden = !found.gap;
  byId("traces-gap").textContent = found.gap ?? "";
  if (found.gap) return;
  const options = () => found.classes.map((one, at) => make("option", { value: String(at) }, one.name));
  byId("traces-first").append(...options());
  byId("traces-second").append(make("option", { value: NO_CLASS }, "none"), ...options());
  for (const id of ["traces-first", "traces-second"]) byId(id).addEventListener("change", tracesChart);
  tracesChart();
  watch(byId("traces-chart"), tracesChart);
}
