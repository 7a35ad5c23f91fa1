"""The only room that knows how things are named on disk: URLs, lock, records, artifacts."""

from sweep.store.database_file import database_path
from sweep.store.diagnosis import STORE_FAILURES, describe_failure
from sweep.store.examination import Examination, examine
from sweep.store.lock import network_warning
from sweep.store.store import Store
from sweep.store.stored import StoredStudy

__all__ = [
    "STORE_FAILURES",
    "Examination",
    "Store",
    "StoredStudy",
    "database_path",
    "describe_failure",
    "examine",
    "network_warning",
]
