"""NumPy arrays as examples: files of them, and what Python gives. No torch here.

`archive` reads and writes files, `given` says which arrays there may be and takes what callers
have, and `inputs` and `labels` turn them into examples.
"""

from sweep.data.arrays.archive import has_content, write_arrays
from sweep.data.arrays.given import GivenArrays, as_array, read_given
from sweep.data.arrays.inputs import examples_of, read_inputs

__all__ = [
    "GivenArrays",
    "as_array",
    "examples_of",
    "has_content",
    "read_given",
    "read_inputs",
    "write_arrays",
]
