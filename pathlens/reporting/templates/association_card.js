// Cards of confirmed associations: a sentence, images for and against it, and what baselines reach.
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

/** What masks and ablation say of the combination, as far as that was measured. */
function measuredLines(card) {
  const { row } = card;
  const lines = [];
  if (row.iou !== null) {
    lines.push(make("p", {}, `Where it responds, held against the pixels of “${row.concept}”: `, make("b", {}, `IoU ${number(row.iou, 3)} [${number(row.iou_ci_low, 3)}, ${number(row.iou_ci_high, 3)}]`),
      `; its layer's best single filter ${number(row.iou_best_single, 3)}, at most possible ${number(row.iou_ceiling, 3)}.`));
  }
  if (card.overlays.length) lines.push(overlayStrip(card.overlays.slice(0, 3), 102));
  if (row.ablation_effect !== null) {
    lines.push(make("p", {}, "Forced off, the read-out of the concept changes by ", make("b", {}, interval(row, "ablation_effect", "ablation_effect_ci_low", "ablation_effect_ci_high")),
      ` (log odds; AUROC of the read-out ${number(row.ablation_read_out_auroc)}); with random sets like it by ${interval(row, "ablation_effect_random", "ablation_effect_random_low", "ablation_effect_random_high")}.`));
  }
  return lines;
}

/** The card of the association at a place among the cards. */
function associationCard(at) {
  const { cards } = data.sections.associations;
  const card = cards[at];
  const row = card.row;
  const filters = filtersOf(row);
  const show = make("button", { type: "button", id: "association-card-show" }, "Show");
  show.addEventListener("click", () => showLayer(data.layers.findIndex((each) => each.index === row.layer), filters));
  const next = make("button", { type: "button", id: "association-card-next", hidden: cards.length < 2 }, "Next association");
  next.addEventListener("click", () => {
    associationCard((at + 1) % cards.length);
    byId("association-card-next").focus();
  });
  const beside = [`all images not searched: ${baseRate(row) === null ? "–" : percent(baseRate(row))}`];
  if (filters.length > 1 && row.gain_over_best_single !== null) {
    beside.push(`best single filter: φ ${number(row.phi - row.gain_over_best_single)}`);
  }
  beside.push(...card.rivals.map(rivalLine));
  byId("association-card-title").textContent = cards.length > 1 ? `Confirmed associations: ${at + 1} of ${count(cards.length)}${data.sections.associations.confirmed > cards.length ? ` (${count(data.sections.associations.confirmed)} in the table)` : ""}` : "One confirmed association";
  byId("association-card-body").replaceChildren(
    make("p", {}, "Of the images routed through ", make("b", {}, filtersNamed(row)), ` of layer ${row.layer}, `, make("b", {}, percent(row.precision)), ` ${conceptWords(row.concept)}.`),
    make("p", {}, `φ ${interval(row, "phi", "phi_ci_low", "phi_ci_high")}, corrected p ${probability(row.p_corrected)}. Beside it, ${beside.join("; ")}.`),
    associationExamples(card),
    ...measuredLines(card),
    make("details", {}, make("summary", {}, "A sentence to quote"), make("p", { id: "association-card-quote" }, quoted(row))),
    make("p", { className: "soft" }, "Images drawn at random from the half that was not searched. ", show, " ", next));
}

function setUpAssociationCard() {
  const found = data.sections.associations;
  if (!found.cards?.length) {
    byId("association-card-body").append(make("p", { className: "soft" }, found.gap ?? "None was confirmed: no combination stands beyond chance on the images that were not searched."));
    return;
  }
  associationCard(0);
}
