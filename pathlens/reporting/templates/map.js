// The map: one mark a path, coloured and shaped by class; point at a mark to see its image.
const SOLID = new Set(["circle", "square", "up", "down", "diamond"]); // shapes that a rim keeps apart
const atlas = { hidden: new Set(), points: [], at: -1 };

function mapPoints(width) {
  const found = data.sections.maps[view.at];
  const xy = unpackShares(found.xy);
  const margin = 16;
  const across = xy.filter((_, i) => i % 2 === 0);
  const up = xy.filter((_, i) => i % 2 === 1);
  const [left, right, low, high] = [Math.min(...across), Math.max(...across), Math.min(...up), Math.max(...up)];
  // One scale for both axes, so that distances are what t-SNE made them.
  const scale = Math.min((width - 2 * margin) / (right - left || 1), (600 - 2 * margin) / (high - low || 1));
  const indent = (width - (right - left) * scale) / 2;
  atlas.height = (high - low) * scale + 2 * margin;
  atlas.points = found.image.map((image, i) => ({
    image, group: groupOf(image), copies: found.copies[i],
    x: indent + (across[i] - left) * scale,
    y: margin + (high - up[i]) * scale,
    r: (found.image.length > 600 ? 3.2 : 4.2) * Math.min(2.5, found.copies[i] ** 0.25),
  }));
}

function mapChart() {
  const found = data.sections.maps[view.at];
  byId("map-box").hidden = Boolean(found.gap);
  byId("map-gap").hidden = !found.gap;
  byId("map-gap").textContent = found.gap ?? "";
  mapFinding(found);
  const width = byId("map-plot").clientWidth;
  if (found.gap || !width) return;
  atlas.at = -1;
  mapPoints(width);
  drawMap();
  mapHint();
}

function drawMap() {
  const context = prepare(byId("map-canvas"), byId("map-plot").clientWidth, atlas.height);
  const tint = Object.fromEntries(Array.from({ length: COLOURS }, (_, i) => [`class-${i}`, colour(`class-${i}`)]));
  context.lineWidth = 0.7;
  context.strokeStyle = colour("paper");
  for (const point of visiblePoints()) {
    const outline = new Path2D(markerPath(shapeOf(point.group), point.x, point.y, point.r));
    context.fillStyle = tint[colourOf(point.group)];
    context.fill(outline, "evenodd");
    if (point.r > 4 && SOLID.has(shapeOf(point.group))) context.stroke(outline);
  }
  const chosen = atlas.points[atlas.at];
  if (!chosen) return;
  context.lineWidth = 2;
  context.strokeStyle = colour("ink");
  context.beginPath();
  context.arc(chosen.x, chosen.y, chosen.r + 5, 0, 2 * Math.PI);
  context.stroke();
}

const visiblePoints = () => atlas.points.filter((point) => !atlas.hidden.has(point.group));

function choosePoint(at) {
  if (at === atlas.at) return;
  atlas.at = at;
  drawMap();
  const point = atlas.points[at];
  if (!point) return;
  byId("map-card").replaceChildren(...imageLines(point.image),
    make("p", { className: "soft" }, point.copies === 1 ? "No other image placed has this path." : `${count(point.copies)} images placed share this path.`));
}

function mapPointer(event) {
  const box = byId("map-canvas").getBoundingClientRect();
  let nearest = -1;
  let distance = 18;
  atlas.points.forEach((point, at) => {
    if (atlas.hidden.has(point.group)) return;
    const apart = Math.hypot(point.x - event.clientX + box.left, point.y - event.clientY + box.top);
    if (apart < distance) [nearest, distance] = [at, apart];
  });
  if (nearest >= 0) choosePoint(nearest);
}

function mapKey(event) {
  const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
  if (!step || !visiblePoints().length) return;
  event.preventDefault();
  let at = atlas.at;
  do at = (at + step + atlas.points.length) % atlas.points.length;
  while (atlas.hidden.has(atlas.points[at].group));
  choosePoint(at);
}

/** Before anybody points: the first mark that is shown, and what can be done. */
function mapHint() {
  const card = byId("map-card");
  card.replaceChildren();
  choosePoint(atlas.points.findIndex((point) => !atlas.hidden.has(point.group)));
  card.append(make("p", { className: "soft" },
    "Point at a mark, or step in with the Tab key and use the arrow keys, to see its image."));
}

function mapFinding(found) {
  const text = byId("map-finding");
  if (found.gap) { text.textContent = ""; return; }
  text.textContent = `Layer ${layer().index} has ${plural(found.unique, "different path")} among the ${count(found.placed)} images placed. ` +
    (found.kept === null ? "" : `The map keeps ${percent(found.kept)} of each path's ten nearest neighbours (by chance: ${percent(found.chance, 1)}).`);
}

/** The legend is the list of classes to tick; without classes there is nothing to tick. */
function mapLegend() {
  const groups = [...new Set(data.sections.maps.flatMap((found) => (found.image ?? []).map(groupOf)))].sort((a, b) => a - b);
  const legend = byId("map-legend");
  legend.hidden = !data.barcode.by;
  if (!data.barcode.by) return;
  legend.querySelector("legend").textContent = data.barcode.by === "label" ? "Classes shown" : "Predicted classes shown";
  const boxes = groups.map((group) => {
    const box = make("input", { type: "checkbox", checked: true });
    box.addEventListener("change", () => {
      if (box.checked) atlas.hidden.delete(group); else atlas.hidden.add(group);
      drawMap();
    });
    const mark = draw("svg", { width: 16, height: 16, "aria-hidden": "true" },
      draw("path", { d: markerPath(shapeOf(group), 8, 8, 5.5), "fill-rule": "evenodd", style: `fill:var(--${colourOf(group)})` }));
    legend.append(make("label", {}, box, mark, className(group)));
    return box;
  });
  const all = (checked) => () => boxes.forEach((box) => { if (box.checked !== checked) box.click(); });
  const buttons = [["All", true], ["None", false]].map(([text, checked]) => {
    const button = make("button", { type: "button" }, text);
    button.addEventListener("click", all(checked));
    return button;
  });
  legend.querySelector("legend").after(make("div", { className: "all" }, ...buttons));
}

function setUpMap() {
  mapLegend();
  byId("map-plot").addEventListener("pointermove", mapPointer);
  byId("map-plot").addEventListener("pointerdown", mapPointer);
  byId("map-plot").addEventListener("keydown", mapKey);
  watch(byId("map-plot"), mapChart);
  onLayer(mapChart);
}
