"""Versions and commit that a result was made with. Imports nothing of this package."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

__all__ = ["package_versions", "project_commit"]

_RECORDED = ("sweep", "torch", "numpy", "optuna")


def package_versions() -> dict[str, str]:
    """Versions by package name, and Python's; does not import the packages."""
    return {name: version(name) for name in _RECORDED} | {"python": platform.python_version()}


def project_commit() -> str | None:
    """The commit of this package's own checkout, with `+` if files differ; None without one."""
    folder = Path(__file__).parent
    commands = (
        ["git", "ls-files", "--error-unmatch", Path(__file__).name],  # not somebody else's checkout
        ["git", "rev-parse", "HEAD"],
        ["git", "status", "--porcelain", "--untracked-files=no", "--", "."],
    )
    answers = []
    for command in commands:
        try:
            answer = subprocess.run(  # noqa: S603 - fixed commands
                command, cwd=folder, capture_output=True, text=True, timeout=5, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return None
        answers.append(answer.stdout.strip())
    return answers[1] + ("+" if answers[2] else "")
