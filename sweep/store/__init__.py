"""The only room that knows how things are named on disk: URLs, lock, keys, artifacts."""

from sweep.store.store import STORE_FAILURES, Store
from sweep.store.url import DEFAULT_STORAGE

__all__ = ["DEFAULT_STORAGE", "STORE_FAILURES", "Store"]
