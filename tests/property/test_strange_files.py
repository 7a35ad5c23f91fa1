"""Three hundred of the files of `tests/soak/test_yaml_files.py`, for every run of the tests."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from strange_yaml import FILES, Judge


@pytest.mark.parametrize("kind", FILES)
def test_a_strange_file_gets_its_answer(kind, tmp_path):
    with Judge(tmp_path) as judge:

        @settings(
            max_examples=300 // len(FILES),
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(FILES[kind])
        def each(text: bytes) -> None:
            judge.judge(text)

        each()
    assert sum(judge.counts.values()) >= 300 // len(FILES)
