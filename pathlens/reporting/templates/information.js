// Information: one measure over depth, for the paths and for every baseline, with what chance gives.
const informationRows = (at) => (data.sections.information[at].rows ?? []).map(([code, measure, value, low, high, none]) =>
  ({ code, measure, value, low, high, none }));
const LOOKS = ["", "hollow", "hollow triangle", "hollow diamond"];

function informationSeries(measure) {
  const codes = [...new Set(data.layers.flatMap((_, at) => informationRows(at).map((row) => row.code)))];
  return codes.map((code, number) => ({
    code, look: LOOKS[Math.min(number, LOOKS.length - 1)],
    values: data.layers.map((_, at) => informationRows(at).find((row) => row.code === code && row.measure === measure)),
  })).filter(({ values }) => values.some((row) => row && row.value !== null));
}

function informationMark(look, x, y) {
  if (look.includes("triangle")) return draw("path", { class: "dot hollow", d: markerPath("up", x, y, 5) });
  if (look.includes("diamond")) return draw("path", { class: "dot hollow", d: markerPath("diamond", x, y, 5) });
  if (look) return draw("rect", { class: "dot hollow", x: x - 4, y: y - 4, width: 8, height: 8 });
  return draw("circle", { class: "dot", cx: x, cy: y, r: 5 });
}

function informationChart() {
  const box = byId("information-chart");
  const width = box.clientWidth;
  const series = informationSeries(byId("information-measure").value);
  if (!width || !series.length) return;
  const known = series.flatMap(({ values }) => values).filter((row) => row && row.value !== null);
  const low = Math.min(0, ...known.map((row) => row.value));
  const most = (Math.max(...known.map((row) => Math.max(row.value, row.high ?? row.value))) - low) || 1;
  const digits = most > 20 ? 0 : 2;
  const axes = depthAxes(width, 240, byId("information-measure").value, (share) => (low + most * share).toFixed(digits));
  const { svg, left, step, top, height } = axes;
  const x = (at) => left + (at + 0.5) * step;
  const y = (value) => top + height * (1 - (value - low) / most);
  for (const { values, look } of series) {
    const shown = values.map((row, at) => [row, at]).filter(([row]) => row && row.value !== null);
    if (!look) {
      for (const [row, at] of shown) {
        if (row.none !== null) svg.append(draw("path", { class: "line null-mark", d: `M${x(at) - step / 3} ${y(Math.max(low, row.none))}h${step / 1.5}` }));
      }
    }
    svg.append(draw("path", { class: look ? "line dashed thin" : "line", d: `M${shown.map(([row, at]) => `${x(at)} ${y(row.value)}`).join("L")}` }));
    for (const [row, at] of shown) {
      if (row.low !== null && row.high !== null) svg.append(draw("path", { class: "line thin", d: `M${x(at)} ${y(row.low)}V${y(row.high)}` }));
      svg.append(informationMark(look, x(at), y(row.value)));
    }
  }
  depthHits(svg, axes, (each, at) => `layer ${each.index}, ${each.name}: ` + series.map(({ code, values }) =>
    `${code} ${values[at] ? fixed(values[at].value, 3) : "–"}`).join("; "));
  box.replaceChildren(svg);
  byId("information-legend").replaceChildren(...series.map(({ code, look }) => make("li", {},
    draw("svg", { width: 26, height: 14 }, draw("path", { class: look ? "line dashed thin" : "line", d: "M0 7H26" }), informationMark(look, 13, 7)), code)),
  make("li", {}, draw("svg", { width: 26, height: 14 }, draw("path", { class: "line null-mark", d: "M3 7H23" })), "labels shuffled"));
}

function informationTable() {
  const rows = informationRows(view.at);
  const found = data.sections.information[view.at];
  byId("information-finding").textContent = found.summary ?? "";
  byId("information-gap").hidden = !found.gap;
  byId("information-gap").textContent = found.gap ?? "";
  const codes = [...new Set(rows.map((row) => row.code))];
  const measures = [...new Set(rows.map((row) => row.measure))];
  const cell = (row) => (!row || row.value === null ? "–" : (Number.isInteger(row.value) ? count(row.value) : fixed(row.value, 3)) + (row.low === null || row.high === null ? "" : ` [${fixed(row.low, 3)}, ${fixed(row.high, 3)}]`));
  byId("information-table").replaceChildren(
    make("thead", {}, make("tr", {}, make("th", { scope: "col", className: "text" }, `layer ${layer().index}`), ...codes.map((code) => make("th", { scope: "col" }, code)),
      make("th", { scope: "col" }, "labels shuffled"))),
    make("tbody", {}, ...measures.map((measure) => {
      const of = (code) => rows.find((row) => row.code === code && row.measure === measure);
      return make("tr", {}, make("th", { scope: "row", className: "text" }, measure), ...codes.map((code) => make("td", {}, cell(of(code)))),
        make("td", {}, of(codes[0]) ? fixed(of(codes[0]).none, 3) : "–"));
    })));
}

function setUpInformation() {
  const measures = [...new Set(data.layers.flatMap((_, at) => informationRows(at).map((row) => row.measure)))];
  byId("information-box").hidden = !measures.length;
  byId("information-measure").append(...measures.map((measure) => make("option", { value: measure }, measure)));
  byId("information-measure").addEventListener("change", informationChart);
  watch(byId("information-chart"), informationChart);
  onLayer(() => { informationChart(); informationTable(); });
}
