import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from polars.testing import assert_frame_equal

from feature_pipeline.de35 import SERIES_DE35
from feature_pipeline.demo import observations
from feature_pipeline.demo.kinds import CONSUMERS
from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.schema import KEY, OBSERVATIONS, SERIES

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
LATER = datetime(2060, 1, 1, tzinfo=UTC)
START = datetime(2024, 2, 20, tzinfo=UTC)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


def final(start: datetime, *, days: int) -> pl.DataFrame:
    return observations(start, start + days * DAY, known_at=LATER)


def matrix(start: datetime, *, days: int) -> NDArray[np.float64]:
    """Return the final values, shape (series, hours), the rare missing ones filled from the day before or after."""
    grid = final(start, days=days).pivot(
        on="datetime_utc", index=SERIES, values="energy_consumption", sort_columns=True
    )
    values = grid.drop(SERIES).to_numpy().reshape(len(SERIES_DE35), -1, 24)
    before, after = np.roll(values, 1, axis=1), np.roll(values, -1, axis=1)
    values = np.where(np.isnan(values), np.where(np.isnan(before), after, before), values)
    return values.reshape(len(SERIES_DE35), -1)


@pytest.fixture
def zone_of_the_machine(request: pytest.FixtureRequest) -> Iterator[str]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = request.param
    time.tzset()
    yield request.param
    os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
    time.tzset()


def test_it_is_sorted_by_key_in_the_schema_of_observations_and_whole_kwh() -> None:
    frame = final(START, days=3)
    assert frame.schema == OBSERVATIONS
    assert frame.equals(frame.sort(KEY))
    assert not frame.select(KEY).is_duplicated().any()
    assert frame.select((pl.col("energy_consumption") % 1 == 0).all()).item()
    assert frame.select(SERIES).unique(maintain_order=True).rows() == list(SERIES_DE35)


@settings(deadline=None, max_examples=60)
@given(
    offset=st.integers(0, 24 * 365 * 6),
    hours=st.integers(1, 60),
    cut=st.integers(0, 59),
    age=st.integers(0, 24 * 50),
)
def test_any_split_of_a_window_gives_the_same_rows(offset: int, hours: int, cut: int, age: int) -> None:
    start = utc(2020, 1, 1) + offset * HOUR
    end = start + hours * HOUR
    middle = start + min(cut, hours) * HOUR
    known_at = end + (age - 30) * HOUR
    parts = [observations(a, b, known_at=known_at) for a, b in ((start, middle), (middle, end)) if a < b]
    assert_frame_equal(pl.concat(parts).sort(KEY), observations(start, end, known_at=known_at))


def test_it_gives_today_what_it_gave_yesterday_on_any_machine() -> None:
    day = final(utc(2023, 1, 17), days=1)
    assert day["energy_consumption"].sum() == 107_690_527


@pytest.mark.parametrize("zone_of_the_machine", ["Pacific/Auckland", "America/New_York"], indirect=True)
def test_the_time_zone_of_the_machine_does_not_matter(zone_of_the_machine: str) -> None:
    assert time.tzname[0] != "UTC", zone_of_the_machine
    naive = observations(datetime(2024, 3, 30), datetime(2024, 4, 1), known_at=datetime(2024, 5, 1))  # noqa: DTZ001 - on purpose
    os.environ["TZ"] = "UTC"
    time.tzset()
    assert_frame_equal(naive, observations(utc(2024, 3, 30), utc(2024, 4, 1), known_at=utc(2024, 5, 1)))


@pytest.mark.parametrize(
    ("start", "hours"), [(utc(2024, 3, 30, 23), 23), (utc(2024, 10, 26, 22), 25)], ids=["23 hours", "25 hours"]
)
def test_a_local_day_of_23_or_25_hours_has_each_of_its_utc_hours(start: datetime, hours: int) -> None:
    frame = observations(start, start + hours * HOUR, known_at=LATER)
    by_hour = frame.group_by("datetime_utc").len().sort("datetime_utc")
    assert by_hour["datetime_utc"].to_list() == [start + hour * HOUR for hour in range(hours)]
    assert by_hour["len"].min() >= len(SERIES_DE35) - 2  # type: ignore[operator]


@pytest.mark.parametrize(
    ("monday", "earlier"), [(utc(2024, 4, 8), 1), (utc(2024, 10, 28), -1)], ids=["spring", "autumn"]
)
def test_people_keep_to_local_time_when_the_clock_changes(monday: datetime, earlier: int) -> None:
    shops = [index for index, (_, consumer) in enumerate(SERIES_DE35) if CONSUMERS[consumer][0] == "shop"]
    # Three to eight o'clock UTC, when shops fill with work, on the Mondays to Wednesdays around the change.
    after = matrix(monday, days=3)[shops].mean(axis=0).reshape(3, 24).mean(axis=0)
    before = matrix(monday - 21 * DAY, days=3)[shops].mean(axis=0).reshape(3, 24).mean(axis=0)
    same_utc = np.abs(after[3:9] - before[3:9]).mean()
    same_local = np.abs(after[3:9] - before[3 + earlier : 9 + earlier]).mean()
    assert same_local < same_utc / 3


def test_an_hour_is_published_when_it_is_over() -> None:
    for minute, last_hour in ((0, 11), (1, 11), (59, 11), (60, 12)):
        frame = observations(START, START + 2 * DAY, known_at=START + 12 * HOUR + timedelta(minutes=minute))
        assert frame["datetime_utc"].max() == START + last_hour * HOUR


def test_before_the_first_publication_there_is_no_row_but_a_schema() -> None:
    frame = observations(START, START + DAY, known_at=START - 9 * DAY)
    assert frame.is_empty()
    assert frame.schema == OBSERVATIONS


def test_about_a_thousandth_of_the_values_is_never_published() -> None:
    expected = len(SERIES_DE35) * 24 * 180
    missing = expected - final(START, days=180).height
    assert 0.0005 < missing / expected < 0.002


def test_a_value_is_restated_at_most_once_16_to_40_days_after_its_hour_and_then_stays() -> None:
    end = START + 10 * DAY
    truth = final(START, days=10)
    wrong_before = np.ones(truth.height, dtype=bool)
    age_at_first = pl.Series([(end - moment) / HOUR for moment in truth["datetime_utc"]]).to_numpy()
    restated = 0
    for hours_later in range(0, 41 * 24, 6):
        seen = observations(START, end, known_at=end + hours_later * HOUR)
        assert seen.select(KEY).equals(truth.select(KEY))
        wrong = seen["energy_consumption"].to_numpy() != truth["energy_consumption"].to_numpy()
        assert not (wrong & ~wrong_before).any()
        changed = wrong_before & ~wrong if hours_later else np.zeros_like(wrong)
        assert (age_at_first[changed] + hours_later >= 16 * 24).all()
        assert (age_at_first[changed] + hours_later <= 40 * 24 + 6).all()
        restated += int(changed.sum())
        wrong_before = wrong
    assert not wrong_before.any()
    assert 0.005 < restated / truth.height < 0.02


def test_a_wrong_first_value_is_wrong_by_3_to_15_percent() -> None:
    first = observations(START, START + 10 * DAY, known_at=START + 10 * DAY)["energy_consumption"]
    error = (first / final(START, days=10)["energy_consumption"] - 1).abs()
    # Small series are rounded to whole kWh.
    assert error.filter(error > 0).min() > 0.027  # type: ignore[operator]
    assert error.max() < 0.153  # type: ignore[operator]


@pytest.mark.parametrize("reference", [utc(2023, 1, 20, 15), utc(2025, 7, 1)])
def test_the_window_of_a_pipeline_run_holds_restated_values_and_ones_to_be_restated(reference: datetime) -> None:
    start, end = reference - 45 * DAY, reference - 15 * DAY
    then = observations(start, end, known_at=reference)["energy_consumption"]
    a_day_later = observations(start, end, known_at=reference + DAY)["energy_consumption"]
    truth = observations(start, end, known_at=LATER)["energy_consumption"]
    assert 0.002 < (then != truth).mean() < 0.01  # type: ignore[operator]
    assert 0 < (then != a_day_later).sum() < 100


def test_levels_are_like_the_real_ones() -> None:
    frame = pl.concat([final(utc(2023, month, 9), days=7) for month in range(1, 13)])
    means = frame.group_by(SERIES).agg(pl.col("energy_consumption").mean())["energy_consumption"]
    assert 400 < means.min() < 1_000  # type: ignore[operator]
    assert 1_000_000 < means.max() < 1_200_000  # type: ignore[operator]
    assert frame["energy_consumption"].min() > 100  # type: ignore[operator]


def test_work_rests_on_ascension_day_and_not_on_other_thursdays() -> None:
    workshop = SERIES_DE35.index(("DK1", "382"))
    thursdays = [matrix(utc(2024, 5, day), days=1)[workshop].sum() for day in (2, 9, 16)]
    assert thursdays[1] < 0.75 * min(thursdays[0], thursdays[2])


def test_homes_with_electric_heating_share_a_weather_that_computers_do_not_feel() -> None:
    days = matrix(utc(2023, 1, 2), days=84).reshape(len(SERIES_DE35), 84, 24).sum(axis=2)
    heated, far_off, computers = (
        days[SERIES_DE35.index(one)] for one in (("DK1", "122"), ("DK2", "123"), ("DK1", "446"))
    )
    assert np.corrcoef(heated, far_off)[0, 1] > 0.6
    assert abs(np.corrcoef(heated, computers)[0, 1]) < 0.5


@pytest.mark.parametrize(
    "start",
    [
        utc(2020, 3, 2, 5),
        utc(2021, 6, 20),
        utc(2022, 12, 19, 15),
        utc(2023, 1, 6, 15),
        utc(2024, 3, 22),
        utc(2025, 9, 8, 11),
    ],
    ids=lambda start: f"{start:%Y-%m-%d}",
)
def test_it_is_as_hard_to_forecast_as_reality_and_there_is_something_to_gain(start: datetime) -> None:
    weeks, fortnight = 21 * 24, 14 * 24
    values = matrix(start - 21 * DAY, days=35)
    truth = values[:, weeks:]

    def wape(forecast: NDArray[np.float64]) -> float:
        return float(np.abs(truth - forecast).sum() / truth.sum())

    naive_day = wape(values[:, weeks - 24 : -24])
    naive_week = wape(values[:, weeks - 168 : -168])
    usual = wape(np.mean([values[:, weeks - lag : weeks - lag + fortnight] for lag in (168, 336, 504)], axis=0))
    assert 0.07 <= naive_day <= 0.12
    assert naive_week > 0.75 * naive_day
    assert 0.055 < usual < 1.05 * naive_day


def test_a_month_of_all_series_takes_less_than_a_third_of_a_second() -> None:
    final(START, days=1)
    seconds = []
    for _ in range(3):
        before = time.process_time()
        final(START, days=30)
        seconds.append(time.process_time() - before)
    assert min(seconds) < 0.3


def test_hours_before_2020_are_refused_with_the_first_hour_that_exists() -> None:
    with pytest.raises(InvalidArgument, match="begins at 2020-01-01 00:00 UTC"):
        observations(utc(2019, 12, 31, 23), utc(2020, 1, 2), known_at=LATER)
    assert observations(utc(2020, 1, 1), utc(2020, 1, 1, 1), known_at=LATER).height > 70


@pytest.mark.parametrize(
    ("start", "end"), [(START, START), (START + DAY, START), (START + timedelta(minutes=1), START + DAY)]
)
def test_a_window_that_is_none_is_refused(start: datetime, end: datetime) -> None:
    with pytest.raises(InvalidArgument):
        observations(start, end, known_at=LATER)


@pytest.mark.real_data
@pytest.mark.skipif("ML_PIPELINE_REAL_DATA" not in os.environ, reason="ML_PIPELINE_REAL_DATA is not set")
def test_each_series_is_within_a_factor_of_two_of_the_real_one() -> None:
    real = (
        pl.read_parquet(os.environ["ML_PIPELINE_REAL_DATA"])
        .group_by(area="PriceArea", consumer_type="ConsumerType_DE35")
        .agg(real=pl.col("TotalCon").mean())
    )
    demo = final(utc(2022, 12, 21), days=30).group_by(SERIES).agg(demo=pl.col("energy_consumption").mean())
    ratio = demo.join(real, on=SERIES, validate="1:1").with_columns(ratio=pl.col("demo") / pl.col("real"))
    assert ratio.height == len(SERIES_DE35)
    assert ratio.filter(~pl.col("ratio").is_between(0.5, 2)).rows() == []
