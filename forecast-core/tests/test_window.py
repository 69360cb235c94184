"""Windows of hours."""

import pickle
from datetime import UTC, datetime, timedelta, timezone

import pytest

from forecast_core.contracts.errors import InvalidArgument, SourceError
from forecast_core.contracts.window import Window, as_utc


def test_the_window_of_a_run_is_left_closed_and_ends_before_the_delay() -> None:
    window = Window.before(datetime(2023, 3, 1, 7, 59, tzinfo=UTC), days_delay=15, days_export=30)
    assert window == Window(datetime(2023, 1, 15, 7, tzinfo=UTC), datetime(2023, 2, 14, 7, tzinfo=UTC))
    assert window.hours == 720


@pytest.mark.parametrize(("delay", "export"), [(-1, 30), (15, 0), (15, -3)])
def test_negative_days_are_refused_by_name(delay: int, export: int) -> None:
    with pytest.raises(InvalidArgument, match="days_"):
        Window.before(datetime(2023, 3, 1, tzinfo=UTC), days_delay=delay, days_export=export)


def test_other_time_zones_are_converted_and_naive_times_are_utc() -> None:
    assert as_utc(datetime(2023, 7, 1, 2, tzinfo=timezone(timedelta(hours=2)))) == datetime(2023, 7, 1, tzinfo=UTC)
    naive = datetime(2023, 7, 1, tzinfo=UTC).replace(tzinfo=None)
    assert as_utc(naive) == datetime(2023, 7, 1, tzinfo=UTC)


def test_a_bound_off_the_full_hour_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="full hours"):
        Window(datetime(2023, 1, 1, 0, 30, tzinfo=UTC), datetime(2023, 1, 2, tzinfo=UTC))


def test_errors_keep_their_message_and_facts_through_pickle() -> None:
    error = pickle.loads(pickle.dumps(SourceError("no such file", path="x")))  # noqa: S301 - our own bytes
    assert str(error) == "no such file [SourceError: running again will not help]"
    assert error.facts == {"path": "x"}
