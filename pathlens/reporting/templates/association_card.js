// The first screen's association: a sentence, images for and against it, and what baselines reach.
function rivalLine(rival) {
  if (!rival.combination) return `${rival.name}: nothing found`;
  return `${rival.name}: φ ${interval(rival, "phi", "phi_ci_low", "phi_ci_high")}`;
}

function associationExamples(card) {
  const has = card.row.concept.startsWith("class:") ? card.row.concept.slice(6) : `“${card.row.concept}”`;
  const lines = [["hits", `this route, ${has}`], ["false alarms", `this route, not ${has}`], ["misses", `other route, ${has}`]];
  return make("dl", { className: "examples" }, ...lines.flatMap(([kind, words]) => [
    make("dt", {}, make("b", {}, count(card.counts[kind])), ` ${words}`),
    make("dd", {}, pictureStrip(card.images[kind]))]));
}

function setUpAssociationCard() {
  const found = data.sections.associations;
  const body = byId("association-card-body");
  const card = found.card;
  if (!card) {
    body.append(make("p", { className: "soft" }, found.gap ?? "None was confirmed: no combination stands beyond chance on the images that were not searched."));
    return;
  }
  const row = card.row;
  const filters = filtersOf(row);
  const named = filters.length === 1 ? `filter ${filters[0]}` : `filters ${filters.join(" and ")} together`;
  const show = make("button", { type: "button", id: "association-card-show" }, "Show");
  show.addEventListener("click", () => showLayer(data.layers.findIndex((each) => each.index === row.layer), filters));
  const beside = [`all images not searched: ${baseRate(row) === null ? "–" : percent(baseRate(row))}`];
  if (filters.length > 1 && row.gain_over_best_single !== null) {
    beside.push(`best single filter: φ ${number(row.phi - row.gain_over_best_single)}`);
  }
  beside.push(...card.rivals.map(rivalLine));
  body.append(
    make("p", {}, "Of the images routed through ", make("b", {}, named), ` of layer ${row.layer}, `, make("b", {}, percent(row.precision)), ` ${conceptWords(row.concept)}.`),
    make("p", {}, `φ ${interval(row, "phi", "phi_ci_low", "phi_ci_high")}, corrected p ${probability(row.p_corrected)}. Beside it, ${beside.join("; ")}.`),
    associationExamples(card),
    make("p", { className: "soft" }, "Images drawn at random from the half that was not searched. ", show));
}
