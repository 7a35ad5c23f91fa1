"""Whether a user's network is being loaded in this thread: its file must not start a sweep then."""

from __future__ import annotations

from contextvars import ContextVar

__all__ = ["loading_network"]

loading_network: ContextVar[bool] = ContextVar("loading_network", default=False)
