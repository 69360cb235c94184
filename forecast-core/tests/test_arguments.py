from datetime import UTC, datetime, timedelta, timezone

import pytest

from forecast_core.contracts.arguments import moment, whole_number
from forecast_core.contracts.errors import InvalidArgument


@pytest.mark.parametrize("value", [24, "24", " 24\n"])
def test_a_whole_number_may_come_as_text(value: int | str) -> None:
    assert whole_number("fh", value, least=1) == 24


@pytest.mark.parametrize("value", ["", "soon", "2.0", "1e3", "None", "--1", True, "٢٤"])
def test_what_is_no_whole_number_is_named_with_its_argument(value: int | str) -> None:
    with pytest.raises(InvalidArgument, match="fh must be a whole number, not"):
        whole_number("fh", value, least=1)


def test_a_number_below_the_least_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="fh must be at least 1, not -1"):
        whole_number("fh", "-1", least=1)


@pytest.mark.parametrize(
    "value",
    [
        datetime(2023, 1, 31, 5),  # noqa: DTZ001  -- naive is what users' DAGs give
        datetime(2023, 1, 31, 6, tzinfo=timezone(timedelta(hours=1))),
        "2023-01-31 05:00",
        "2023-01-31T06:00+01:00",
    ],
)
def test_a_moment_in_any_form_becomes_utc(value: datetime | str) -> None:
    assert moment("end_datetime", value) == datetime(2023, 1, 31, 5, tzinfo=UTC)


@pytest.mark.parametrize("value", [None, "", "tomorrow", "31.01.2023"])
def test_what_is_no_time_is_named_with_its_argument(value: str | None) -> None:
    with pytest.raises(InvalidArgument, match="end_datetime must be a time, as datetime or as text"):
        moment("end_datetime", value)
