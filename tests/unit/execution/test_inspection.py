"""The process that looks into a user's network."""

from __future__ import annotations

import pytest

from sweep.definitions import DATASETS
from sweep.errors import InputError
from sweep.execution import inspection
from sweep.records import NetworkSource


def test_a_file_that_waits_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(inspection, "_ANSWER_SECONDS", 0.5)
    source = NetworkSource("net.py", "build", "import time\ntime.sleep(3600)\n")
    refused = pytest.raises(InputError, match=r"^net\.py takes more than ")
    with refused, inspection.inspecting(source) as inspector:
        inspector.load()
    assert inspector._process.poll() is not None


@pytest.mark.slow
def test_each_configuration_is_tried_once(tmp_path):
    built = tmp_path / "built"
    text = f"""
import math
from torch import nn

def build(input_shape, num_classes, *, width: int = 4):
    with open({str(built)!r}, "a") as file:
        file.write(f"{{width}}\\n")
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), num_classes))
"""
    with inspection.inspecting(NetworkSource("net.py", "build", text)) as inspector:
        inspector.load()
        first = inspector.costs(DATASETS["digits"], [{"width": 2}, {"width": 3}])
        tried = built.read_text()
        again = inspector.costs(DATASETS["digits"], [{"width": 3}, {"width": 2}])
        assert built.read_text() == tried
        inspector.costs(DATASETS["digits"], [{"width": 5}])
    assert again == first[::-1]
    assert set(built.read_text().splitlines()) == {"2", "3", "5"}
