// Clusters of image paths against classes: agreement over depth, and the counts of one layer.
const agreementOf = (at) => data.sections.clusters[at].scores?.find((score) => score.code === "paths" && score.measure === "AMI");

function agreementChart() {
  const box = byId("agreement-chart");
  const width = box.clientWidth;
  const scores = data.layers.map((_, at) => agreementOf(at));
  byId("agreement-box").hidden = !scores.some(Boolean);
  if (!width || !scores.some(Boolean)) return;
  const largest = Math.max(...scores.filter(Boolean).flatMap((score) => [score.value, score.null_95]));
  const most = clamp(Math.ceil(largest * 5) / 5, 0.2, 1);
  const axes = depthAxes(width, 210, "Agreement of path clusters with classes, per layer", (share) => (most * share).toFixed(2));
  const { svg, left, step, top, height } = axes;
  const y = (value) => top + height * (1 - clamp(value / most, 0, 1));
  const known = scores.map((score, at) => [score, left + (at + 0.5) * step]).filter(([score]) => score);
  for (const [score, x] of known) {
    const band = y(Math.max(0, score.null_95));
    svg.append(draw("rect", { class: "null", x: x - step / 2, y: Math.min(band, top + height - 3), width: step, height: Math.max(3, top + height - band) }));
  }
  svg.append(draw("path", { class: "line", d: `M${known.map(([score, x]) => `${x} ${y(score.value)}`).join("L")}` }));
  for (const [score, x] of known) svg.append(draw("circle", { class: "dot", cx: x, cy: y(score.value), r: Math.min(5, step / 3) }));
  depthHits(svg, axes, (each, at) => scores[at]
    ? `layer ${each.index}, ${each.name}: AMI ${scores[at].value.toFixed(3)}; shuffled labels: mean ${scores[at].null_mean.toFixed(3)}, 95 % up to ${scores[at].null_95.toFixed(3)}`
    : `layer ${each.index}, ${each.name}: none`);
  box.replaceChildren(svg);
}

function agreementFinding() {
  const known = data.layers.map((each, at) => ({ each, score: agreementOf(at) })).filter(({ score }) => score);
  if (!known.length) return;
  const best = known.reduce((a, b) => (b.score.value > a.score.value ? b : a));
  const above = known.filter(({ score }) => score.value > score.null_95).length;
  byId("clusters-finding").textContent = `Groups of paths agree best with the classes in layer ${best.each.index} ` +
    `(AMI ${best.score.value.toFixed(2)}; shuffled labels reach at most ${best.score.null_95.toFixed(2)} in 95 % of cases). ` +
    `In ${above} of ${plural(known.length, "layer")} the agreement is above what shuffling gives.`;
}

function clustersBox() {
  const found = data.sections.clusters[view.at];
  const gap = found.gap ?? (found.scores.length ? "" : found.summary);
  byId("clusters-box").hidden = Boolean(gap);
  byId("clusters-gap").hidden = !gap;
  byId("clusters-gap").textContent = gap;
  if (gap) return;
  byId("clusters-title").textContent = `Layer ${layer().index} (${layer().name}): ${plural(found.clusters.filter(Boolean).length, "group")} of ${count(found.images)} images`;
  clustersTable(found);
  clusterCards(found);
  byId("clusters-scores").replaceChildren(
    make("thead", {}, make("tr", {}, ...["agreement", "code", "groups", "found", "shuffled, 95 %", "p"].map((head) => make("th", { scope: "col" }, head)))),
    make("tbody", {}, ...found.scores.map((score) => make("tr", {}, make("th", { scope: "row" }, score.measure),
      make("td", {}, score.code), make("td", {}, count(score.clusters)), ...["value", "null_95"].map((key) => make("td", {}, fixed(score[key], 3))),
      make("td", {}, probability(score.p))))));
}

/** A card a group: what is typical of it, what stands out, and the filters that mark it. */
function clusterCards(found) {
  byId("cluster-cards").replaceChildren(...found.cards.map((card) => make("article", { className: "brief" },
    make("h4", {}, `Group ${card.cluster}: ${plural(card.images, "image")}`),
    make("p", {}, card.classes),
    make("p", { className: "soft" }, "typical"), pictureStrip(card.typical),
    make("p", { className: "soft" }, "odd ones out"), pictureStrip(card.odd),
    make("p", { className: "soft" }, "filters (on inside, outside): " +
      card.filters.map(([filter, inside, outside]) => `${filter} (${percent(inside)}, ${percent(outside)})`).join(", ")))));
}

/** The largest groups one by one, and all others together. */
function clusterRows(found) {
  const rows = found.counts.map((counts, at) => ({ name: found.clusters[at] ? `group ${found.clusters[at]}` : "noise", counts }));
  if (rows.length <= 14) return rows;
  const rest = rows.slice(12);
  const sum = found.names.map((_, column) => rest.reduce((total, { counts }) => total + counts[column], 0));
  return [...rows.slice(0, 12), { name: `${rest.length} smaller`, counts: sum }];
}

function clustersTable(found) {
  const body = clusterRows(found).map(({ name, counts }) => {
    const total = counts.reduce((a, b) => a + b, 0) || 1;
    return make("tr", {}, make("th", { scope: "row" }, name), ...counts.map((number, column) => {
      const share = number / total;
      const cell = make("td", { className: share > 0.55 ? "dense" : "", title: `${count(number)} of ${count(total)} images of ${name} are ${found.names[column]}` },
        number ? count(number) : "·");
      cell.style.background = `rgba(var(--shade),${(0.04 + 0.96 * share).toFixed(3)})`;
      return cell;
    }));
  });
  byId("clusters-table").replaceChildren(
    make("thead", {}, make("tr", {}, make("td", {}), ...found.names.map((name) => make("th", { scope: "col", title: name }, shorten(name, 14))))),
    make("tbody", {}, ...body));
}

function setUpClusters() {
  agreementFinding();
  watch(byId("agreement-chart"), agreementChart);
  onLayer(() => { agreementChart(); clustersBox(); });
}
