"""NumPy arrays as examples: files of them, and what Python gives. No torch here.

`names` says which arrays there may be, `files` reads and writes them, `inputs` and `labels` turn
them into examples, and `given` takes what callers have.
"""

from sweep.data.arrays.files import has_content, write_arrays
from sweep.data.arrays.given import GivenArrays, read_given
from sweep.data.arrays.inputs import read_inputs

__all__ = ["GivenArrays", "has_content", "read_given", "read_inputs", "write_arrays"]
