// The table of associations: sort by any column, find by text, and mark the filters in the barcode.
const table = { rows: [], columns: [], sort: "p_corrected", up: true, most: 25 };
const number = (value, digits = 2) => fixed(value, digits);
const interval = (row, key, low, high) => (row[key] === null ? "–" : `${number(row[key])} [${number(row[low])}, ${number(row[high])}]`);
// Lift is precision over the share among all images, so that the share is their quotient.
const baseRate = (row) => (row.lift ? row.precision / row.lift : null);
const COLUMNS = [
  { key: "layer", head: "layer", show: (row) => String(row.layer) },
  { key: "combination", head: "filters", text: true, show: (row) => row.combination.replaceAll("+", " + ") },
  { key: "concept", head: "concept", text: true, show: (row) => row.concept },
  { key: "support", head: "images on it", show: (row) => percent(row.support / row.n) },
  { key: "phi", head: "φ", hint: "95 % interval", show: (row) => interval(row, "phi", "phi_ci_low", "phi_ci_high") },
  { key: "lift", head: "lift", show: (row) => number(row.lift) },
  { key: "precision", head: "precision", hint: "all images", show: (row) => `${percent(row.precision)} (${baseRate(row) === null ? "–" : percent(baseRate(row))})` },
  { key: "recall", head: "recall", show: (row) => percent(row.recall) },
  { key: "p_corrected", head: "corrected p", show: (row) => probability(row.p_corrected) },
  { key: "gain_over_best_single", head: "gain in φ", hint: "95 % interval", show: (row) => interval(row, "gain_over_best_single", "gain_ci_low", "gain_ci_high") },
  { key: "iou", head: "IoU", hint: "best single filter, ceiling", measured: true, show: (row) => (row.iou === null ? "–" : `${number(row.iou, 3)} (${number(row.iou_best_single, 3)}, ${number(row.iou_ceiling, 3)})`) },
  { key: "ablation_effect", head: "ablated", hint: "random sets", measured: true, show: (row) => (row.ablation_effect === null ? "–" : `${number(row.ablation_effect)} (${number(row.ablation_effect_random)})`) },
  { key: "beyond_class", head: "beyond the class", text: true, show: (row) => row.beyond_class || "–" },
  { key: "confirmed", head: "confirmed", show: (row) => (row.confirmed ? "✓" : "no") },
];

function rowsWanted() {
  const words = byId("associations-search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = table.rows.filter((row) => {
    const text = `layer ${row.layer} ${row.name} ${row.combination} ${row.concept}`.toLowerCase();
    return (!byId("associations-confirmed").checked || row.confirmed)
      && (!byId("associations-layer").checked || row.layer === layer().index)
      && (!byId("associations-gain").checked || row.gain_ci_low > 0)
      && words.every((word) => text.includes(word));
  });
  const key = table.sort;
  const sign = table.up ? 1 : -1;
  const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
  return rows.sort((a, b) => {
    if (a[key] === null || b[key] === null) return (a[key] === null) - (b[key] === null);
    return sign * compare(a[key], b[key]) || b.phi - a.phi;
  });
}

function associationsTable() {
  const rows = rowsWanted();
  const heads = table.columns.map((column) => {
    const button = make("button", { type: "button" }, column.head + (table.sort === column.key ? (table.up ? " ▲" : " ▼") : ""),
      ...(column.hint ? [make("span", { className: "hint" }, column.hint)] : []));
    button.addEventListener("click", () => {
      table.up = table.sort === column.key ? !table.up : ["layer", "combination", "concept", "p_corrected"].includes(column.key);
      table.sort = column.key;
      associationsTable();
      byId("associations-table").querySelectorAll("th button")[table.columns.indexOf(column)].focus();
    });
    const cell = make("th", { scope: "col", className: column.text ? "text" : "" }, button);
    if (table.sort === column.key) cell.setAttribute("aria-sort", table.up ? "ascending" : "descending");
    return cell;
  });
  byId("associations-table").replaceChildren(
    make("thead", {}, make("tr", {}, make("td", {}), ...heads)),
    make("tbody", {}, ...rows.slice(0, table.most).map(associationRow)));
  const shown = Math.min(rows.length, table.most);
  byId("associations-count").textContent = rows.length ? `${count(shown)} of ${count(rows.length)} rows` : "no row fits";
  byId("associations-more").hidden = shown === rows.length;
}

function associationRow(row) {
  const show = make("button", { type: "button", title: "Mark these filters in the barcode, with their card and a sentence to quote" }, "Show");
  show.addEventListener("click", () => {
    const card = data.sections.associations.cards.findIndex((one) => one.row.layer === row.layer && one.row.combination === row.combination && one.row.concept === row.concept);
    if (card >= 0) associationCard(card);
    byId("associations-best").hidden = false;
    byId("associations-best").textContent = quoted(row);
    showLayer(data.layers.findIndex((each) => each.index === row.layer), filtersOf(row));
    byId("barcode").scrollIntoView();
  });
  return make("tr", { className: row.confirmed ? "" : "unconfirmed" },
    make("td", {}, show), ...table.columns.map((column) => make("td", { className: column.text ? "text" : "" }, column.show(row))));
}

const filtersOf = (row) => row.combination.split("+").map(Number);

const conceptWords = (concept) => (concept.startsWith("class:") ? `are of class “${concept.slice(6)}”` : `have “${concept}”`);

const filtersNamed = (row) => {
  const filters = filtersOf(row);
  return filters.length === 1 ? `filter ${filters[0]}` : `filters ${filters.join(" and ")} together`;
};

const VERDICTS = {
  "beyond class": "beyond what the class explains",
  "explained by class": "explained by the class",
  undecidable: "whether beyond the class cannot be decided on so few images",
};

/** A sentence about a row that a reader may quote, numbers included. */
function quoted(row) {
  const parts = [`φ ${interval(row, "phi", "phi_ci_low", "phi_ci_high")}`, `corrected p ${probability(row.p_corrected)}`, `${count(row.n)} images not searched`];
  if (row.combination.includes("+") && row.gain_over_best_single !== null) {
    parts.push(`φ above that of the best single filter of the layer by ${interval(row, "gain_over_best_single", "gain_ci_low", "gain_ci_high")}`);
  }
  if (VERDICTS[row.beyond_class]) parts.push(VERDICTS[row.beyond_class]);
  if (row.iou !== null) parts.push(iouWords(row));
  if (row.ablation_effect !== null) {
    parts.push(`forced off, log odds of the concept's read-out ${interval(row, "ablation_effect", "ablation_effect_ci_low", "ablation_effect_ci_high")}, of random sets ${number(row.ablation_effect_random)}`);
  }
  return `Of the images routed through ${filtersNamed(row)} of layer ${row.layer} (${row.name}), ${percent(row.precision)} ${conceptWords(row.concept)}, ` +
    `against ${baseRate(row) === null ? "–" : percent(baseRate(row))} of all of these images; ${percent(row.recall)} of all such images take that route (${parts.join("; ")}).`;
}

function bestAssociation() {
  const card = data.sections.associations.cards[0];
  if (!card) return;
  byId("associations-best").hidden = false;
  byId("associations-best").textContent =
    `${card.gaining ? "Strongest among those that say more than any single filter" : "The strongest"}: ${quoted(card.row)}`;
}

const filtersWords = (row) => (row.combination.includes("+") ? `filters ${row.combination.replaceAll("+", " + ")}` : `filter ${row.combination}`);

/** Pictures of where a combination responds, with the outline of its concept. */
const overlayStrip = (images, width) => make("p", {}, ...images.flatMap((each) =>
  [make("img", { alt: each.image, title: each.image, width, src: `data:image/jpeg;base64,${each.picture}` }), " "]));

const iouWords = (row) => `IoU ${number(row.iou, 3)} (best single filter ${number(row.iou_best_single, 3)}, at most ${number(row.iou_ceiling, 3)})`;

function overlayCards(entries) {
  byId("associations-overlays").hidden = !entries.length;
  byId("associations-overlay-cards").append(...entries.map((one) => make("article", { className: "brief" },
    make("h4", {}, one.concept),
    make("p", { className: "soft" }, `${filtersWords(one)} of layer ${one.layer}${one.confirmed ? "" : ", not confirmed"}; ${iouWords(one)}; ${plural(one.images.length, "picture")} of ${count(one.hits)}`),
    overlayStrip(one.images, 92))));
}

function setUpAssociations() {
  const found = data.sections.associations;
  if (found.gap) {
    byId("associations-box").hidden = true;
    byId("associations-gap").hidden = false;
    byId("associations-gap").textContent = found.gap;
    return;
  }
  table.rows = found.rows.map((row) => Object.fromEntries(row.map((value, i) => [found.columns[i], value])));
  const cut = found.total > table.rows.length ? ` The page holds the first ${count(table.rows.length)} of ${count(found.total)} rows; tables/associations.csv has all.` : "";
  byId("associations-finding").textContent = found.summary + cut;
  table.columns = COLUMNS.filter((column) => !column.measured || table.rows.some((row) => row[column.key] !== null));
  byId("associations-unmeasured").hidden = !found.unmeasured;
  byId("associations-unmeasured").textContent = found.unmeasured;
  overlayCards(found.overlays);
  byId("associations-confirmed").checked = table.rows.some((row) => row.confirmed);
  bestAssociation();
  for (const id of ["search", "confirmed", "layer", "gain"]) {
    byId(`associations-${id}`).addEventListener("input", () => { table.most = 25; associationsTable(); });
  }
  byId("associations-more").addEventListener("click", () => { table.most += 100; associationsTable(); });
  onLayer(associationsTable);
}
