// Path swaps: points of accuracy that another path costs, over all layers and layer by layer.
const swapRows = () => data.sections.swaps.rows.map((row) =>
  Object.fromEntries(row.map((value, i) => [data.sections.swaps.columns[i], value])));
const STATIC_PATH = "majority path, equal MACs";
const OTHER_CLASS = "path of an image of another predicted class";
const points = (share) => (100 * share).toFixed(1);

function swapsChart() {
  const box = byId("swaps-chart");
  const width = box.clientWidth;
  const rows = swapRows().filter((row) => row.layer === "all" && row.condition !== "own path");
  if (!width || !rows.length) return;
  const narrow = width < 560;
  const [left, right, step] = [narrow ? 8 : 330, 150, narrow ? 46 : 30];
  const low = Math.min(0, ...rows.map((row) => row.lost_low));
  const high = Math.max(0.01, ...rows.map((row) => row.lost_high));
  const x = (share) => left + (width - left - right) * (share - low) / (high - low);
  const svg = picture(width, rows.length * step + 8, "Points of accuracy lost with another path");
  rows.forEach((row, at) => {
    const y = at * step + (narrow ? 22 : 6);
    svg.append(
      draw("text", narrow ? { x: 8, y: y - 5 } : { x: left - 12, y: y + 13, "text-anchor": "end" }, row.condition),
      draw("rect", { class: "dynamic", x: Math.min(x(0), x(row.lost)), y, width: Math.abs(x(row.lost) - x(0)), height: 18 }),
      draw("path", { class: "line", d: `M${x(row.lost_low)} ${y + 9}H${x(row.lost_high)}M${x(row.lost_low)} ${y + 4}v10M${x(row.lost_high)} ${y + 4}v10` }),
      draw("text", { class: "strong", x: x(row.lost_high) + 10, y: y + 13 }, `${points(row.lost)} [${points(row.lost_low)}, ${points(row.lost_high)}]`));
  });
  svg.append(draw("path", { class: "tree", d: `M${x(0)} 0V${rows.length * step + 4}` }));
  box.replaceChildren(svg);
}

function swapsDepth() {
  const box = byId("swaps-depth");
  const width = box.clientWidth;
  const rows = swapRows();
  const of = (condition) => data.layers.map((each) => rows.find((row) => row.layer === each.name && row.condition === condition));
  const series = [[OTHER_CLASS, of(OTHER_CLASS), ""], [STATIC_PATH, of(STATIC_PATH), "hollow"]];
  const known = series.flatMap(([, values]) => values).filter(Boolean);
  byId("swaps-depth-box").hidden = !known.length;
  if (!width || !known.length) return;
  const low = Math.min(0, ...known.map((row) => row.lost_low));
  const most = Math.max(0.01, ...known.map((row) => row.lost_high)) - low;
  const axes = depthAxes(width, 220, "Points of accuracy lost when the gates of one layer are swapped", (share) => points(low + most * share));
  const { svg, left, step, top, height } = axes;
  const y = (value) => top + height * (1 - (value - low) / most);
  for (const [, values, look] of series) {
    const shown = values.map((row, at) => [row, left + (at + 0.5) * step]).filter(([row]) => row);
    svg.append(draw("path", { class: look ? "line dashed" : "line", d: `M${shown.map(([row, x]) => `${x} ${y(row.lost)}`).join("L")}` }));
    for (const [row, x] of shown) {
      svg.append(draw("path", { class: "line thin", d: `M${x} ${y(row.lost_low)}V${y(row.lost_high)}` }),
        look ? draw("rect", { class: "dot hollow", x: x - 4, y: y(row.lost) - 4, width: 8, height: 8 })
          : draw("circle", { class: "dot", cx: x, cy: y(row.lost), r: Math.min(5, step / 3) }));
    }
  }
  depthHits(svg, axes, (each, at) => `layer ${each.index}, ${each.name}: ` + series.filter(([, values]) => values[at])
    .map(([name, values]) => `${name} ${points(values[at].lost)} points`).join("; "));
  box.replaceChildren(svg);
}

function swapsTable() {
  const rows = swapRows();
  const heads = ["layers", "accuracy", "points lost", "95 % interval", "MACs"];
  byId("swaps-table").replaceChildren(
    make("thead", {}, make("tr", {}, make("th", { scope: "col", className: "text" }, "path"), ...heads.map((head) => make("th", { scope: "col" }, head)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, make("th", { scope: "row", className: "text" }, row.condition),
      ...[row.layer, percent(row.accuracy, 1), points(row.lost), `${points(row.lost_low)} to ${points(row.lost_high)}`, percent(row.macs_share)]
        .map((text) => make("td", {}, text))))));
}

function setUpSwaps() {
  const found = data.sections.swaps;
  byId("swaps-box").hidden = Boolean(found.gap);
  byId("swaps-gap").hidden = !found.gap;
  byId("swaps-gap").textContent = found.gap ?? "";
  if (found.gap) return;
  byId("swaps-finding").textContent = found.summary;
  swapsTable();
  swapsChart();
  watch(byId("swaps-chart"), swapsChart);
  watch(byId("swaps-depth"), swapsDepth);
  onLayer(swapsDepth);
}
