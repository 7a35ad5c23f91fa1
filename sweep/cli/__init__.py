"""The command line: arguments, progress, exit codes. No logic that a Python caller would miss.

`sweep --help` must answer at once: nothing but click is imported before a command runs.
"""

from sweep.cli.commands import main

__all__ = ["main"]
