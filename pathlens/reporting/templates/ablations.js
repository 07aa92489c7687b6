// Ablations: what forcing a set of filters off changes, beside what matched random sets change.
const ablationRows = () => data.sections.ablations.rows.map((row) =>
  Object.fromEntries(row.map((value, i) => [data.sections.ablations.columns[i], value])));

function ablationsShown() {
  const scope = byId("ablations-scope").value;
  const effect = byId("ablations-effect").value;
  return ablationRows().filter((row) => row.effect === effect && (row.class === "all images") === (scope === "all"));
}

function ablationsChart() {
  const box = byId("ablations-chart");
  const width = box.clientWidth;
  const rows = ablationsShown().filter((row) => row.measure === "accuracy");
  if (!width) return;
  if (!rows.length) { box.replaceChildren(make("p", {}, "No set was measured on these images.")); return; }
  const narrow = width < 560;
  const [left, right, step] = [narrow ? 8 : 250, 130, narrow ? 46 : 30];
  const low = Math.min(0, ...rows.flatMap((row) => [row.low, row.control_low ?? 0]));
  const high = Math.max(0.005, ...rows.flatMap((row) => [row.high, row.control_high ?? 0]));
  const x = (share) => left + (width - left - right) * (share - low) / (high - low);
  const svg = picture(width, rows.length * step + 8, "Change of accuracy when sets of filters are forced off");
  rows.forEach((row, at) => {
    const y = at * step + (narrow ? 32 : 15);
    svg.append(draw("text", narrow ? { x: 8, y: y - 14 } : { x: left - 12, y: y + 4, "text-anchor": "end" }, shorten(row.mode === "off" ? row.set : `${row.set} (${row.mode})`, 36)));
    if (row.control_low !== null) svg.append(draw("rect", { class: "null", x: x(row.control_low), y: y - 6, width: Math.max(2, x(row.control_high) - x(row.control_low)), height: 12 }));
    svg.append(draw("path", { class: "line", d: `M${x(row.low)} ${y}H${x(row.high)}` }), draw("circle", { class: "dot", cx: x(row.change), cy: y, r: 5 }),
      draw("text", { x: width - right + 12, y: y + 4 }, `${points(row.change)} points, p ${row.p === null ? "–" : row.p.toFixed(2)}`));
  });
  svg.append(draw("path", { class: "tree", d: `M${x(0)} 0V${rows.length * step + 4}` }));
  box.replaceChildren(svg);
}

function ablationsTable() {
  const heads = ["forced", "images", "what changes", "change", "95 % interval", "random sets, mean", "95 % of them", "p"];
  const body = ablationsShown().map((row) => {
    const show = row.measure === "accuracy" ? points : (value) => fixed(value, 2);
    const range = (a, b) => (a === null || b === null ? "–" : `${show(a)} to ${show(b)}`);
    return make("tr", {}, make("th", { scope: "row", className: "text" }, row.set), make("td", { className: "text" }, row.filters), make("td", {}, row.mode), make("td", {}, count(row.images)),
      make("td", {}, row.measure === "accuracy" ? "accuracy, points" : "logit of the class"), make("td", {}, show(row.change)), make("td", {}, range(row.low, row.high)),
      make("td", {}, row.control === null ? "–" : show(row.control)), make("td", {}, range(row.control_low, row.control_high)), make("td", {}, probability(row.p)));
  });
  byId("ablations-table").replaceChildren(
    make("thead", {}, make("tr", {}, ...["set", "layer:filters"].map((head) => make("th", { scope: "col", className: "text" }, head)), ...heads.map((head) => make("th", { scope: "col" }, head)))),
    make("tbody", {}, ...body));
}

function setUpAblations() {
  const found = data.sections.ablations;
  byId("ablations-box").hidden = Boolean(found.gap);
  byId("ablations-gap").hidden = !found.gap;
  byId("ablations-gap").textContent = found.gap ?? "";
  if (found.gap) return;
  byId("ablations-finding").textContent = found.summary;
  const effects = [...new Set(ablationRows().map((row) => row.effect))];
  byId("ablations-effect").append(...effects.map((effect) => make("option", { value: effect }, effect)));
  if (!ablationRows().some((row) => row.class !== "all images")) byId("ablations-scope").value = "all";
  const renew = () => { ablationsChart(); ablationsTable(); };
  for (const id of ["ablations-scope", "ablations-effect"]) byId(id).addEventListener("change", renew);
  watch(byId("ablations-chart"), ablationsChart);
  renew();
}
