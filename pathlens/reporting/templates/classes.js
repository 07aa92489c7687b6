// Class paths: similarity of classes as squares, with the tree that groups them at the left.
function classesShown() {
  return byId("scope-network").checked ? data.sections.classes.network : data.sections.classes.layers[view.at];
}

function classesChart() {
  const box = byId("classes-chart");
  const found = classesShown();
  byId("classes-legend").replaceChildren();
  codesTable("classes-codes", found.codes, ["mean similarity of two classes", "shuffled"], (value) => fixed(value, 3));
  byId("classes-finding").textContent = found.summary ?? "";
  const gap = found.gap || found.names.length < 2;
  byId("classes-how").hidden = gap;
  if (gap) {
    byId("classes-finding").textContent = "";
    box.replaceChildren(make("p", { className: "gap" }, found.gap ?? found.summary));
    return;
  }
  const room = box.clientWidth;
  if (!room) return;
  box.replaceChildren(classesFigure(found, room));
}

function classesFigure(found, room) {
  const classes = found.names.length;
  const narrow = room < 560;
  const tree = narrow ? 50 : 130;
  const names = narrow ? 78 : 150;
  const side = clamp(Math.floor(Math.min(room - tree - names - 8, 640) / classes), 5, 42);
  const bottom = side >= 11 ? (narrow ? 80 : 110) : 6;
  const svg = picture(tree + names + side * classes + 4, side * classes + bottom, "Similarity of class paths");
  const similarity = unpackShares(found.similarity);
  const off = similarity.filter((_, i) => i % (classes + 1) !== 0);
  const low = Math.min(...off, found.chance ?? 1);
  const shade = (value) => clamp((value - low) / Math.max(1e-9, 1 - low), 0, 1);
  svg.append(classTree(found, tree - 4, side));
  found.order.forEach((a, row) => {
    if (side >= 11) svg.append(classLabel(found.names[a], tree + side * classes + 6, (row + 0.5) * side + 4, "start", narrow ? 11 : 22));
    if (side >= 11) {
      const x = tree + (row + 0.5) * side;
      const text = classLabel(found.names[a], 0, 0, "end", narrow ? 11 : 15);
      text.setAttribute("transform", `translate(${x + 4} ${side * classes + 8}) rotate(-60)`);
      svg.append(text);
    }
    found.order.forEach((b, column) => {
      const value = similarity[a * classes + b];
      const square = draw("rect", { x: tree + column * side, y: row * side, width: side - 1, height: side - 1,
        style: `fill:rgba(var(--shade),${(0.06 + 0.94 * shade(value)).toFixed(3)})` },
        draw("title", {}, `${found.names[a]} and ${found.names[b]}: ${value.toFixed(3)}`));
      svg.append(square);
      if (side >= 26 && a !== b) {
        svg.append(draw("text", { x: tree + (column + 0.5) * side - 0.5, y: (row + 0.5) * side + 3.5, "text-anchor": "middle",
          style: `font-size:11px;pointer-events:none;fill:var(--${shade(value) > 0.5 ? "paper" : "ink"})` },
          value.toFixed(2).replace(/^0/, "")));
      }
    });
  });
  byId("classes-legend").replaceChildren(shadeLegend(low, found.chance));
  return svg;
}

function classLabel(name, x, y, anchor, letters) {
  return draw("text", { x, y, "text-anchor": anchor }, shorten(name, letters), draw("title", {}, name));
}

/** The tree: leaves at the right in the order of the rows, joins further left the more they differ. */
function classTree(found, width, side) {
  const classes = found.names.length;
  const node = [];
  found.order.forEach((leaf, row) => { node[leaf] = { x: width, y: (row + 0.5) * side }; });
  const deepest = Math.max(...found.linkage.map((join) => join[2]), 1e-9);
  let path = "";
  found.linkage.forEach(([a, b, distance], at) => {
    const x = width - (distance / deepest) * (width - 6);
    path += `M${node[a].x} ${node[a].y}H${x}V${node[b].y}H${node[b].x}`;
    node[classes + at] = { x, y: (node[a].y + node[b].y) / 2 };
  });
  return draw("path", { class: "tree", d: path });
}

function shadeLegend(low, chance) {
  const width = 260;
  const svg = picture(width + 60, 46, "Scale of similarity");
  for (let i = 0; i < 40; i++) {
    svg.append(draw("rect", { x: 20 + (i * width) / 40, y: 18, width: width / 40 + 0.3, height: 10,
      style: `fill:rgba(var(--shade),${(0.06 + (0.94 * i) / 39).toFixed(3)})` }));
  }
  svg.append(draw("text", { x: 20, y: 42, "text-anchor": "middle" }, low.toFixed(2)));
  svg.append(draw("text", { x: 20 + width, y: 42, "text-anchor": "middle" }, "1"));
  if (chance !== null) {
    const x = 20 + width * clamp((chance - low) / Math.max(1e-9, 1 - low), 0, 1);
    svg.append(draw("path", { class: "line", d: `M${x} 15V31` }));
    svg.append(draw("text", { x: Math.min(x, width), y: 11, "text-anchor": "middle" }, `shuffled ${chance.toFixed(3)}`));
  }
  svg.style.font = "12px var(--sans)";
  return svg;
}

function setUpClasses() {
  if (data.layers.length < 2 && data.sections.classes.network.gap) byId("scope-network").disabled = true;
  byId("scope-layer").addEventListener("change", classesChart);
  byId("scope-network").addEventListener("change", classesChart);
  watch(byId("classes-chart"), classesChart);
  onLayer(classesChart);
}
