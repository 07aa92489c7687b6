// Filter states against the number of images, and the filters that few classes use.
function curvesChart() {
  const found = data.sections.states.curves;
  const box = byId("curves-chart");
  const width = Math.min(430, box.clientWidth);
  if (found.gap || !width) return;
  const [left, top, height, right] = [40, 8, 150, 90];
  const svg = picture(width, top + height + 42, "Shares of filter states against the number of images");
  const [least, most] = [Math.log(found.images[0]), Math.log(found.images.at(-1))];
  const x = (images) => left + (width - left - right) * (most > least ? (Math.log(images) - least) / (most - least) : 1);
  const y = (share) => top + height * (1 - share);
  for (const share of [0, 0.5, 1]) {
    svg.append(draw("path", { class: "grid", d: `M${left} ${y(share)}H${width - right}` }),
      draw("text", { x: left - 6, y: y(share) + 4, "text-anchor": "end" }, percent(share)));
  }
  for (const [key, name, look] of [["dynamic", "dynamic", "line"], ["high_energy", "high-energy", "line dashed"], ["mute", "mute", "line thin"]]) {
    svg.append(draw("path", { class: look, d: `M${found.images.map((images, i) => `${x(images)} ${y(found[key][i])}`).join("L")}` }),
      draw("text", { x: width - right + 6, y: y(found[key].at(-1)) + 4 }, name));
  }
  for (const images of [found.images[0], found.images.at(-1)]) {
    svg.append(draw("text", { x: x(images), y: top + height + 16, "text-anchor": "middle" }, count(images)));
  }
  svg.append(draw("text", { x: left, y: top + height + 36 }, "images, drawn at random (log scale) →"));
  box.replaceChildren(svg);
}

function specialistsTable() {
  const found = data.sections.states.classes;
  byId("specialists-finding").textContent = found.gap ?? found.summary;
  if (found.gap || !found.rows.length) return;
  const heads = ["layer", "filter", "classes", "on for", "images", "by chance"];
  byId("specialists-table").replaceChildren(
    make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col", className: head === "classes" ? "text" : "" }, head)))),
    make("tbody", {}, ...found.rows.map(([layerIndex, filter, classes, rate, images, chance]) => make("tr", {},
      make("td", {}, String(layerIndex)), make("td", {}, String(filter)), make("td", { className: "text" }, classes),
      make("td", {}, percent(rate, 1)), make("td", {}, count(images)), make("td", {}, percent(chance))))));
}

function hierarchyTable() {
  const found = data.sections.hierarchy;
  byId("hierarchy-finding").textContent = found.gap ?? found.summary;
  if (found.gap) return;
  const heads = ["cophenetic correlation", "Spearman", "p", "classes permuted, 95 %"];
  byId("hierarchy-table").replaceChildren(
    make("thead", {}, make("tr", {}, make("th", { scope: "col", className: "text" }, "code"), ...heads.map((head) => make("th", { scope: "col" }, head)))),
    make("tbody", {}, ...found.rows.map(([code, pearson, spearman, p, none]) => make("tr", {}, make("th", { scope: "row", className: "text" }, code),
      make("td", {}, fixed(pearson, 2)), make("td", {}, fixed(spearman, 2)), make("td", {}, probability(p)), make("td", {}, fixed(none, 2))))));
}

function setUpStateCurves() {
  const { curves } = data.sections.states;
  byId("curves-finding").textContent = curves.gap ?? curves.summary;
  watch(byId("curves-chart"), curvesChart);
  specialistsTable();
  hierarchyTable();
}
