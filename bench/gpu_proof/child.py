"""The process of one part.

    python -m gpu_proof.child MODULE SETTING RESULT

SETTING is JSON; the answer is written to the file RESULT.
"""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path

from gpu_proof.findings import Found, Setting


def main() -> None:
    module, setting, result = sys.argv[1:]
    import torch

    torch.set_flush_denormal(True)  # as workers do
    torch.set_num_threads(1)  # for such small networks, more would wait for each other
    given = Setting(**json.loads(setting))
    found: Found = importlib.import_module(module).prove(given)
    if given.small:
        found = replace(found, goals=[])  # they are for full size
    Path(result).write_text(json.dumps(found.to_json()))


if __name__ == "__main__":
    main()
