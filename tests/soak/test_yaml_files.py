"""Twenty thousand files: each is valid, or refused with a position, within 1 s and 200 MB."""

from __future__ import annotations

import pytest
from helpers import run_cli
from hypothesis import HealthCheck, Phase, given, settings
from strange_yaml import FILES, Judge

pytestmark = pytest.mark.soak

NUM_FILES = 20_000
_LONG = settings(
    max_examples=NUM_FILES // len(FILES),
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("kind", FILES)
def test_every_file_gets_its_answer(kind, tmp_path):
    with Judge(tmp_path) as judge:

        @_LONG
        @given(FILES[kind])
        def each(text: bytes) -> None:
            judge.judge(text)

        each()
    assert sum(judge.counts.values()) >= NUM_FILES // len(FILES)
    effort = f"at most {judge.most_loads:.0f} loads and {judge.megabytes:.0f} MB"
    print(f"\n{kind}: {judge.counts}, {effort}")  # noqa: T201


@pytest.mark.parametrize("kind", FILES)
def test_the_command_line_ends_with_an_answer(kind, tmp_path):
    """The same with `sweep check`: never a traceback."""

    @settings(_LONG, max_examples=8)
    @given(FILES[kind])
    def each(text: bytes) -> None:
        (tmp_path / "space.yaml").write_bytes(text)
        done = run_cli("check", "space.yaml", cwd=tmp_path)
        assert done.returncode in (0, 2), done.stderr
        assert "Traceback" not in done.stderr
        assert bool(done.stdout) == (done.returncode == 0)
        assert done.returncode == 0 or done.stderr.startswith("sweep: space.yaml:")
        assert [path.name for path in tmp_path.iterdir()] == ["space.yaml"]

    each()
