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

    Each commit that is put off leaves a savepoint, so that a rollback takes back what it would have
    taken back without a batch.

    After a batch that failed, the connection refuses to go on, because Optuna and the session in
    front of it remember writes that are not there.
    """

    _is_open = False
    _has_writes = False
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
            if self._has_writes:
                self.execute("RELEASE written")
            self.execute("SAVEPOINT written")
            self._has_writes = True

    def rollback(self) -> None:
        """Take back what was written since the last `commit`."""
        if not self._has_writes:
            super().rollback()
        elif self.in_transaction:
            self.execute("ROLLBACK TO written")
        else:
            self._is_lost = True  # a full disk, for one: SQLite itself has taken back everything

    @contextmanager
    def batch(self, *, with_schema: bool = False) -> Iterator[None]:
        """Commit everything that is written inside once, at the end; an error rolls it all back.

        Batches do not nest: the writes of an inner one would not be safe when it ends.

        Args:
            with_schema: Whether tables are created inside, for which Python begins no transaction.
        """
        if self._is_open:
            raise RuntimeError("transactions do not nest: one of this store is open already")
        self._is_open = True
        try:
            if with_schema:
                self.execute("BEGIN IMMEDIATE")
                self.execute("SAVEPOINT written")  # or a rollback of nothing would end it
                self._has_writes = True
            yield
            self._is_open = False
            self.commit()
        except BaseException:
            self._is_lost = True
            super().rollback()
            raise
        finally:
            self._is_open = self._has_writes = False
