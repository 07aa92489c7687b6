// Start: the layer bar drives all figures, and the address keeps the layer (#layer=3).
function layerOfAddress() {
  const index = /^#layer=(\d+)$/.exec(location.hash)?.[1];
  return index === undefined ? -1 : data.layers.findIndex((each) => each.index === Number(index));
}

function setUpLayerBar() {
  const slider = byId("layer");
  slider.addEventListener("input", () => showLayer(Number(slider.value)));
  byId("layer-previous").addEventListener("click", () => showLayer(view.at - 1));
  byId("layer-next").addEventListener("click", () => showLayer(view.at + 1));
  document.addEventListener("keydown", (event) => {
    if (event.target.matches?.("input[type=search], select") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "[") showLayer(view.at - 1);
    if (event.key === "]") showLayer(view.at + 1);
  });
  window.addEventListener("hashchange", () => { if (layerOfAddress() >= 0) showLayer(layerOfAddress()); });
  onLayer(() => {
    const { index, name, filters } = layer();
    const known = data.layers.length;
    slider.value = view.at;
    slider.disabled = known < 2;
    slider.setAttribute("aria-valuetext", `layer ${index}, ${name}`);
    byId("layer-previous").disabled = view.at === 0;
    byId("layer-next").disabled = view.at === known - 1;
    byId("layer-name").replaceChildren(make("b", {}, `Layer ${index}`), ` ${name}, ${plural(filters, "filter")}`);
    root.dataset.layer = index;
  });
}

function rememberLayer() {
  onLayer(() => history.replaceState(null, "", `#layer=${layer().index}`));
}

for (const setUp of [setUpLayerBar, setUpBarcode, setUpSwaps, setUpAblations, setUpStates, setUpStateCurves, setUpClasses, setUpClusters, setUpMap, setUpInformation, setUpTraces, setUpAssociations, setUpAssociationCard, setUpExample]) {
  // One figure that fails must not take the others with it.
  try { setUp(); } catch (error) { noteError(error.stack ?? error); }
}
const asked = layerOfAddress();
showLayer(asked >= 0 ? asked : data.start.at);
rememberLayer();
root.dataset.ready = "yes";
