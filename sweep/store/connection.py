"""The one connection to a database file, and how many writes become one commit on it.

Optuna commits after every call, and with a rollback journal and `synchronous=FULL` every commit
waits for the disk. While a batch is open, this connection puts those commits off until the batch
is complete. Nothing else changes: journal, synchronisation and locks stay SQLite's own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["BatchConnection", "LostTransactionError"]


class LostTransactionError(sqlite3.OperationalError):
    """A transaction failed; Optuna and the session remember writes that are not in the file."""


class BatchConnection(sqlite3.Connection):
    """A connection whose commits can be put off until a batch of them is complete.

    Each of those commits leaves a savepoint, so that a rollback takes back only what it would have
    taken back without a batch. After a batch that failed, the connection refuses to go on, because
    Optuna and the session in front of it remember writes that are not in the file.
    """

    _is_open = False
    _is_lost = False

    @property
    def is_in_batch(self) -> bool:
        """Whether commits are put off now."""
        return self._is_open

    def commit(self) -> None:
        """Commit, or mark in the batch that what was written so far belongs together.

        Raises:
            sqlite3.Error: the file cannot be written, or an earlier batch failed.
        """
        if self._is_lost:
            raise LostTransactionError(
                "an earlier transaction of this store failed, and what was written in it is not in "
                "the file; open the store again"
            )
        if not self._is_open:
            super().commit()
        elif self.in_transaction:
            self.execute("RELEASE written")
            self.execute("SAVEPOINT written")

    def rollback(self) -> None:
        """Take back what was written since the last `commit`."""
        if not self._is_open:
            super().rollback()
        elif self.in_transaction:
            self.execute("ROLLBACK TO written")
        else:
            self._is_lost = True  # a full disk, for one: SQLite has rolled everything back

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Commit everything that is written inside once, at the end; an error rolls it all back.

        Batches do not nest: the writes of an inner one would not be safe when it ends.
        """
        if self._is_open:
            raise RuntimeError("transactions do not nest: one of this store is open already")
        self._is_open = True
        try:
            # Immediate, to wait here for other writers: one that has read is refused at once.
            self.execute("BEGIN IMMEDIATE")
            self.execute("SAVEPOINT written")
            yield
            self._is_open = False
            self.commit()
        except BaseException:
            self._is_lost = True
            super().rollback()
            raise
        finally:
            self._is_open = False
