"""The number of examples per property."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

_TIMES_MORE = 80


def examples(number: int = 25) -> settings:
    """This many in every run of the tests, and eighty times as many with the profile `explore`.

    Fixtures of a function are shared by its examples, each of which writes its files anew.
    """
    explores = settings.get_current_profile_name() == "explore"
    return settings(
        max_examples=number * _TIMES_MORE if explores else number,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
