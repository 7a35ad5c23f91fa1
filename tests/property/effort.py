"""How many examples a property is tried with."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

_TIMES_MORE = 80


def examples(number: int = 25) -> settings:
    """So many in every run of the tests, and eighty times as many with the profile `explore`.

    The files that a test writes are its own affair: each example writes them anew.
    """
    explores = settings.get_current_profile_name() == "explore"
    return settings(
        max_examples=number * _TIMES_MORE if explores else number,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
