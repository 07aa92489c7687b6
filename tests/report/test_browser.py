"""The page in a real browser: no error, no request, and the controls work."""

import html
import re
import shutil
import subprocess

import pytest

from pathlens.reporting import report

from .conftest import EVIL, make_recording

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--virtual-time-budget=5000", "--dump-dom"),
)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium found: apt install chromium")


def dom_of(page, folder, address="", *more):
    """The document after its scripts have run, as HTML text."""
    command = [BROWSER, *FLAGS, *more, f"--user-data-dir={folder}", page.as_uri() + address]
    done = subprocess.run(command, capture_output=True, timeout=90, check=True)
    return done.stdout.decode()


def probe(index, folder, script):
    """The page with a script of the test at its end, which may press keys and buttons."""
    text = index.read_text(encoding="utf-8")
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    page = folder / "probe.html"
    page.write_text(text.replace("</body>", f"<script>{script}</script></body>"), encoding="utf-8")
    return page


def root_of(dom):
    """Attributes of the root element."""
    return dict(re.findall(r'([\w-]+)="([^"]*)"', re.search(r"<html[^>]*>", dom).group()))


@pytest.mark.parametrize(
    ("address", "layer"), [("#layer=3", "3"), ("#layer=1", "1"), ("#layer=99", None), ("", None)]
)
def test_the_address_chooses_the_layer_and_nothing_fails(index, tmp_path, address, layer):
    dom = dom_of(index, tmp_path, address)
    root = root_of(dom)
    assert root.get("data-ready") == "yes"
    assert "data-errors" not in root, root
    assert layer is None or root["data-layer"] == layer
    assert f"<b>Layer {root['data-layer']}</b>" in dom
    assert html.escape(EVIL, quote=False) in dom
    assert "<script>alert" not in dom


def test_every_control_works(index, tmp_path):
    script = """
    const said = [];
    const press = (id, event, change = () => {}) => {
      const element = document.getElementById(id);
      change(element);
      element.dispatchEvent(event);
    };
    const keys = (id, ...names) => names.forEach((key) =>
      press(id, new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true })));
    const text = (id) => document.getElementById(id).textContent;
    const note = (name, value) => said.push(`${name}=${value}`);
    {
      press("layer", new Event("input"), (slider) => { slider.value = 0; });
      note("slider", document.documentElement.dataset.layer);
      press("layer-next", new Event("click"));
      note("next", document.documentElement.dataset.layer);
      document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "]", bubbles: true }));
      note("key", document.documentElement.dataset.layer + location.hash);
      press("barcode-sort", new Event("change"), (sort) => { sort.value = "number"; });
      note("before", /Filter \\d+/.exec(text("barcode-card"))[0]);
      keys("barcode-plot", "ArrowRight", "ArrowRight", "ArrowDown");
      note("after", /Filter \\d+/.exec(text("barcode-card"))[0]);
      note("image", document.querySelectorAll("#barcode-card img").length);
      press("barcode-dynamic", new Event("change"), (box) => { box.checked = true; });
      keys("barcode-plot", "ArrowRight");
      note("dynamic", /Filter \\d+/.exec(text("barcode-card"))[0]);
      press("scope-network", new Event("change"), (box) => { box.checked = true; });
      note("scope", text("classes-finding").includes("whole network"));
      const before = text("map-card");
      keys("map-plot", "ArrowRight");
      note("map", text("map-card") !== before);
      const rows = () => document.querySelectorAll("#associations-table tbody tr").length;
      const confirmed = rows();
      press("associations-confirmed", new Event("input"), (box) => { box.checked = false; });
      note("all", rows() > confirmed || confirmed === 25);
      press("associations-search", new Event("input"), (box) => { box.value = "striped"; });
      note("found", rows() > 0 && [...document.querySelectorAll("#associations-table tbody tr")]
        .every((row) => row.textContent.includes("striped")));
      document.querySelector("#associations-table th button").click();
      note("sort", document.querySelector("#associations-table th").getAttribute("aria-sort"));
      document.querySelector("#associations-table tbody button").click();
      note("marked", !document.getElementById("barcode-unmark").hidden);
      const filters = document.querySelector("#associations-table tbody tr").children[2].textContent;
      note("quote", text("associations-best").includes(filters.replaceAll(" + ", " and ")));
      document.getElementById("association-card-show").click();
      note("card", !document.getElementById("barcode-unmark").hidden);
      const card = text("association-card-body");
      document.getElementById("association-card-next").click();
      note("cards", text("association-card-body") !== card
        && document.activeElement.id === "association-card-next");
      const discs = () => document.querySelectorAll("#traces-chart circle").length;
      const alone = discs();
      press("traces-second", new Event("change"), (box) => { box.value = "1"; });
      note("traces", discs() > alone && alone > 0);
      const bound = document.getElementById("information-chart").innerHTML;
      press("information-measure", new Event("change"), (box) => { box.value = "kNN accuracy"; });
      note("measure", document.getElementById("information-chart").innerHTML !== bound);
      const first = text("example-body");
      document.getElementById("example-next").click();
      note("example", text("example-body") !== first && document.activeElement.id === "example-next");
      const own = text("ablations-table");
      press("ablations-scope", new Event("change"), (box) => { box.value = "all"; });
      note("scopes", text("ablations-table") !== own);
      press("ablations-effect", new Event("change"), (box) => { box.value = "direct"; });
      note("effect", document.querySelectorAll("#ablations-chart circle").length);
      note("swaps", document.querySelectorAll("#swaps-chart rect").length);
      document.documentElement.dataset.said = said.join(";");
    }
    """
    root = root_of(dom_of(probe(index, tmp_path, script), tmp_path / "user"))
    assert "data-errors" not in root, root
    said = dict(pair.split("=", 1) for pair in root["data-said"].split(";"))
    assert said == {
        **{"slider": "1", "next": "2", "key": "3#layer=3", "before": "Filter 0"},
        **{"after": "Filter 2", "image": "1", "dynamic": "Filter 3", "scope": "true"},
        **{"map": "true", "all": "true", "found": "true", "sort": "ascending", "marked": "true"},
        **{"quote": "true"},
        **{"card": "true", "cards": "true", "traces": "true", "measure": "true", "example": "true"},
        **{"scopes": "true", "effect": "1", "swaps": "2"},
    }


def test_a_narrow_window_does_not_scroll_sideways(index, tmp_path):
    script = """
      document.documentElement.dataset.over = document.documentElement.scrollWidth - innerWidth;
    """
    page = probe(index, tmp_path, script)
    root = root_of(dom_of(page, tmp_path / "user", "", "--window-size=500,900"))
    assert "data-errors" not in root, root
    assert int(root["data-over"]) <= 0


@pytest.mark.parametrize("images", [3, 40])
def test_missing_analyses_say_why(tmp_path, images):
    bare = make_recording(
        tmp_path / "bare", images=images, labelled=False, thumbnails=False, concepts=False
    )
    dom = dom_of(report(bare, layers=[1], progress=False), tmp_path / "user")
    assert "data-errors" not in root_of(dom)
    gaps = re.findall(r'<p[^>]*class="gap"[^>]*>([^<]+)', dom.split("</noscript>")[1])
    assert len([gap for gap in gaps if len(gap) > 20]) >= 3, gaps
