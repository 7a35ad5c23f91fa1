"""The results on disk: one JSON file, one table in Markdown, written again after each part.

Results belong to the code, the device and the versions that they were made with. Others are not
overwritten but moved aside.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness import machine

from gpu_proof.findings import FAILED
from gpu_proof.parts import Part
from sweep.provenance import package_versions, project_commit

__all__ = ["Results", "describe", "source_digest"]

_REPOSITORY = Path(__file__).parents[2]
_HEADS = ("Part", "Verdict", "Seconds", "Found", "Goal")


def source_digest() -> str:
    """Of the code that is proved and of the proof; a checkout with changes has a commit, too."""
    digest = hashlib.sha256()
    for folder in ("sweep", "bench/gpu_proof", "bench/contestants"):
        for file in sorted((_REPOSITORY / folder).rglob("*.py")):
            digest.update(str(file.relative_to(_REPOSITORY)).encode() + file.read_bytes())
    return digest.hexdigest()


def describe(device: str, *, small: bool, images: str) -> dict[str, Any]:
    """What the results are of: all that makes them comparable."""
    import torch

    is_gpu = device != "cpu"
    return {
        "commit": project_commit(),
        "source": source_digest(),
        "device": torch.cuda.get_device_name(device) if is_gpu else "cpu",
        "driver": _driver() if is_gpu else None,
        "cuda": torch.version.cuda,
        "versions": package_versions(),
        "python": platform.python_version(),
        "images": images,
        "small": small,
    }


def _driver() -> str | None:
    if shutil.which("nvidia-smi") is None:
        return None
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout.splitlines() or [None])[0] if done.returncode == 0 else None


class Results:
    """What the parts found so far, kept in a folder."""

    def __init__(self, folder: Path, about: Mapping[str, Any]) -> None:
        self.folder = folder
        self.json, self.table = folder / "results.json", folder / "results.md"
        self._about = dict(about)
        self.parts: dict[str, dict[str, Any]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        if self.json.exists():
            former = json.loads(self.json.read_text())
            if former["about"] == self._about:
                self.parts = former["parts"]
            else:
                aside = former["written"].replace(":", "-")
                self.json.rename(folder / f"results-{aside}.json")

    def add(self, part: Part, found: dict[str, Any]) -> None:
        """Record what a part found, on disk too."""
        self.parts[part.name] = found | {"meaning": part.meaning}
        written = datetime.now(UTC).isoformat(timespec="seconds")
        whole = {
            "written": written,
            "about": self._about,
            "hardware": machine.hardware(),
            "parts": self.parts,
        }
        written_first = self.json.with_suffix(".part")
        written_first.write_text(json.dumps(whole, indent=2) + "\n")
        written_first.replace(self.json)  # whole at any instant
        self.table.write_text(self.markdown(written))

    @property
    def failed(self) -> list[str]:
        """The parts that failed."""
        return [name for name, found in self.parts.items() if found["verdict"] == FAILED]

    def markdown(self, written: str) -> str:
        """The verdicts and figures for readers."""
        about = self._about
        versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
        lines = [
            f"# {about['device']}, {written}\n",
            f"Commit {about['commit']}; driver {about['driver']}, CUDA {about['cuda']}; {versions}",
            f"Images: {about['images']}.{' A small trial run.' if about['small'] else ''}",
            "",
            "| " + " | ".join(_HEADS) + " |",
            "|---" * len(_HEADS) + "|",
        ]
        for name, found in self.parts.items():
            what = f"{name}: {found['meaning']}", found["verdict"], f"{found['seconds']:.0f}"
            cells = (*what, found["words"], _goals(found))
            lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
        return "\n".join([*lines, *_speeds(self.parts)]) + "\n"


def _goals(found: Mapping[str, Any]) -> str:
    return "; ".join(
        f"{goal['words']}: {'met' if goal['is_met'] else 'missed'} ({goal['found']:.3g})"
        for goal in found["goals"]
    )


def _speeds(parts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A table of the engine's speeds."""
    rows = parts.get("speed", {}).get("figures", {}).get("rows", ())
    if not rows:
        return []
    heads = ("Width", "Lanes", "Trial-epochs/s", "Step, ms", "Rest of an epoch, ms")
    heads += ("A lane leaves, ms", "Of products", "Of memory")
    lines = ["", "| " + " | ".join(heads) + " |", "|---:" * len(heads) + "|"]
    for row in rows:
        shares = (f"{row[f'share_of_{what}']:.0%}" for what in ("products", "memory"))
        times = (f"{row[what]:.0f}" for what in ("rest_ms", "leaving_ms"))
        figures = (f"{row['rate']:.3g}", f"{row['step_ms']:.3f}", *times, *shares)
        lines.append(f"| {row['width']} | {row['lanes']} | {' | '.join(figures)} |")
    return lines
