"""`python -m sweep` is the command `sweep`."""

import os
import sys

# `-m` puts the current folder, if there is one, first on the path; its files are not ours to run.
try:
    if sys.path[0] == os.getcwd() and not sys.flags.safe_path:  # noqa: PTH109 - nor `pathlib.py`
        del sys.path[0]
except FileNotFoundError:
    pass

from sweep.cli import main

if __name__ == "__main__":
    main()
