"""Watching a network is cheap enough for a command that only loads one."""

import subprocess
import sys


def test_watching_a_network_does_not_import_the_compiler():
    code = (
        "import sys, torch; from pathlens.decoupling import decouple; c = torch.nn.Conv2d(3, 3, 3); "
        "decouple(torch.nn.Sequential(c, torch.nn.Conv2d(3, 3, 3), torch.nn.Conv2d(3, 2, 3)), "
        "torch.zeros(1, 3, 9, 9)); sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
