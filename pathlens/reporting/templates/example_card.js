// The first screen's image: the filters whose ablation changes its decision, and where they respond.
const example = { at: 0 };

function exampleText(one) {
  const named = one.set.map(([layerIndex, filter]) => `filter ${filter} of layer ${layerIndex}`).join(", ");
  const many = one.set.length > 1 ? "all off" : "off";
  const lines = [make("p", {}, make("b", {}, className(one.prediction)), ` (confidence ${percent(one.confidence)}). `,
    one.flips ? "With " : "No set tried changes it; the strongest: ", make("b", {}, named), ` ${many}`,
    one.flips ? ", it is taken for " : ".", ...(one.flips ? [make("b", {}, className(one.becomes)), "."] : []))];
  if (one.others_flip !== null) {
    lines.push(make("p", { className: "soft" }, `Beside it: ${percent(one.others_flip)} of ${count(one.others)} random sets of as many filters of the same layers change the class.`));
  }
  return lines;
}

function examplePictures(one) {
  const figure = (source, text, mark) => make("figure", { className: mark ? "chosen-filter" : "" },
    make("img", { alt: text, src: `data:image/jpeg;base64,${source}` }), make("figcaption", {}, text));
  return make("div", { className: "overlays" }, figure(one.picture, "the image", false),
    ...one.filters.map((each) => figure(each.overlay, `layer ${each.layer}, filter ${each.filter}`, each.in_set)));
}

function showExample() {
  const { images } = data.sections.examples;
  const one = images[example.at];
  const next = make("button", { type: "button", id: "example-next", hidden: images.length < 2 }, "Next image");
  next.addEventListener("click", () => {
    example.at = (example.at + 1) % images.length;
    showExample();
    byId("example-next").focus();
  });
  byId("example-body").replaceChildren(examplePictures(one), ...exampleText(one),
    make("p", { className: "soft" }, `Bright: where the filter responds. Of ${count(one.tried)} images drawn at random, those whose decision hangs on the fewest filters. `, next));
}

function setUpExample() {
  const found = data.sections.examples;
  if (found.gap) byId("example-body").append(make("p", { className: "soft" }, found.gap));
  else showExample();
}
