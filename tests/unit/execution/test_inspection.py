"""The process that looks into a user's network."""

from __future__ import annotations

import pytest

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
