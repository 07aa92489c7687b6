"""The losses in somebody else's loop, with their own loader and optimiser: the README's example."""

import re
from pathlib import Path

import pytest
import torch

README = Path(__file__).parents[2] / "README.md"


def the_loop():
    blocks = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), flags=re.DOTALL)
    (loop,) = [block for block in blocks if "for epoch in" in block]
    return compile(loop, str(README), "exec")


@pytest.mark.parametrize("seed", [0, 1])
def test_a_plain_loop_trains_a_decoupled_network(seed):
    torch.manual_seed(seed)
    found = {}
    exec(the_loop(), found)
    network, path = found["network"], found["path"]
    assert len(network.layers) == 2
    assert found["accuracy"] > 0.7
    gates = path.concatenate()
    assert set(gates.unique().tolist()) <= {0.0, 1.0}
    assert gates.std(dim=0).gt(0).sum() > 5  # they depend on the image
    assert 0.2 < gates.mean() < 0.8  # from all on at first
    assert found["macs"] < 0.8
    with torch.no_grad():
        masked = network.with_path(found["images"][1500:], force=dict(path))[0]
    assert torch.equal(masked, found["output"])
