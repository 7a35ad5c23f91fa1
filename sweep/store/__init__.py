"""The only room that knows how things are named on disk: URLs, lock, keys, artifacts."""

from sweep.store.examination import Examination, examine
from sweep.store.failures import STORE_FAILURES, describe_failure
from sweep.store.network import network_warning
from sweep.store.store import Store

__all__ = [
    "STORE_FAILURES",
    "Examination",
    "Store",
    "describe_failure",
    "examine",
    "network_warning",
]
