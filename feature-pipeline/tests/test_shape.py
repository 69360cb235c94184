"""The rules about the shape of series: each finds its fault, in a series that is clean otherwise."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from feature_pipeline import demo
from feature_pipeline.de35 import SERIES_DE35
from feature_pipeline.validation import shape
from forecast_core.contracts.window import Window

WINDOW = Window(datetime(2022, 5, 2, tzinfo=UTC), datetime(2022, 6, 1, tzinfo=UTC))
RULES = {
    "flat": shape.flat_lines,
    "zero": shape.zeros,
    "spike": shape.spikes,
    "shift": shape.level_shifts,
}
HOUR, VALUE = pl.col("datetime_utc"), pl.col("energy_consumption")
AT = datetime(2022, 5, 20, 9, tzinfo=UTC)
REAL_DATA = os.environ.get("ML_PIPELINE_REAL_DATA")


@pytest.fixture(scope="module")
def clean() -> pl.DataFrame:
    rows = demo.observations(WINDOW.start, WINDOW.end, known_at=WINDOW.end + timedelta(days=60))
    return rows.filter(pl.col("area") == "DK1", pl.col("consumer_type").is_in(["111", "421", "310"]))


def broken(rows: pl.DataFrame, when: pl.Expr, value: pl.Expr) -> pl.DataFrame:
    mine = pl.col("consumer_type") == "421"
    return rows.with_columns(pl.when(mine & when).then(value).otherwise(VALUE).alias("energy_consumption"))


def found(rows: pl.DataFrame, window: Window = WINDOW) -> dict[str, list[tuple[str, datetime]]]:
    table = shape.grid(rows, window)
    flags = {name: rule(table) for name, rule in RULES.items()}
    return {
        name: list(rows.select("consumer_type", "datetime_utc").iter_rows())
        for name, rows in flags.items()
        if rows.height
    }


def hours(first: datetime, count: int) -> list[tuple[str, datetime]]:
    return [("421", first + timedelta(hours=hour)) for hour in range(count)]


def test_clean_series_have_no_flags(clean: pl.DataFrame) -> None:
    assert found(clean) == {}


def test_the_third_and_later_of_equal_hours_are_flat(clean: pl.DataFrame) -> None:
    frozen = broken(clean, HOUR.is_between(AT, AT + timedelta(hours=4)), pl.lit(90_000.0))
    assert found(frozen)["flat"] == hours(AT + timedelta(hours=2), 3)


def test_a_series_of_few_values_repeats_by_chance(clean: pl.DataFrame) -> None:
    coarse = clean.with_columns((HOUR.hash(1) % 5 + 1).cast(pl.Float64).alias("energy_consumption"))
    assert "flat" not in found(coarse)
    stuck = broken(coarse, HOUR.is_between(AT, AT + timedelta(hours=11)), pl.lit(3.0))
    assert len(found(stuck)["flat"]) >= 10


def test_a_series_of_one_value_is_flat() -> None:
    one = pl.DataFrame(
        {
            "area": "DK1",
            "consumer_type": "421",
            "datetime_utc": pl.datetime_range(WINDOW.start, WINDOW.end, "1h", closed="left", eager=True),
            "energy_consumption": 5.0,
        }
    )
    assert len(found(one)["flat"]) == 718


def test_zeros_are_found_where_the_hour_is_not_zero_otherwise(clean: pl.DataFrame) -> None:
    assert found(broken(clean, HOUR.is_between(AT, AT + timedelta(hours=5)), pl.lit(0.0))) == {"zero": hours(AT, 6)}
    nightly = broken(clean, HOUR.dt.hour() < 4, pl.lit(0.0))
    assert "zero" not in found(nightly)


@pytest.mark.parametrize("factor", [0.2, 3.0, 1000.0])
def test_one_hour_that_jumps_and_returns_is_a_spike(clean: pl.DataFrame, factor: float) -> None:
    assert found(broken(clean, HOUR == AT, VALUE * factor)) == {"spike": hours(AT, 1)}


def test_hours_far_from_the_usual_are_a_spike_together(clean: pl.DataFrame) -> None:
    block = broken(clean, HOUR.is_between(AT, AT + timedelta(hours=3)), VALUE * 5)
    assert found(block) == {"spike": hours(AT, 4)}


def test_the_newest_hour_is_judged_without_the_next(clean: pl.DataFrame) -> None:
    last = WINDOW.end - timedelta(hours=1)
    assert found(broken(clean, HOUR.eq(last), VALUE * 4)) == {"spike": hours(last, 1)}


def test_a_level_that_stays_is_a_shift_where_it_begins(clean: pl.DataFrame) -> None:
    for factor in (0.3, 2.5):
        assert found(broken(clean, HOUR >= AT, VALUE * factor))["shift"] == hours(AT, 1)


def test_a_shift_needs_a_day(clean: pl.DataFrame) -> None:
    short = broken(clean, HOUR.is_between(AT, AT + timedelta(hours=20)), VALUE * 2.5)
    assert "shift" not in found(short)


AUTUMN = Window(datetime(2022, 10, 16, tzinfo=UTC), datetime(2022, 11, 7, tzinfo=UTC))
SPRING = Window(datetime(2022, 3, 12, tzinfo=UTC), datetime(2022, 4, 4, tzinfo=UTC))


def level(window: Window, value: pl.Expr) -> pl.DataFrame:
    hours = pl.datetime_range(window.start, window.end, "1h", closed="left", eager=True)
    rows = pl.DataFrame({"area": "DK1", "consumer_type": "421", "datetime_utc": hours})
    return rows.with_columns(value.cast(pl.Float64).alias("energy_consumption"))


def test_the_earlier_range_ends_three_local_days_before_also_where_a_day_has_an_hour_twice() -> None:
    # 2022-10-30 has the local hour 2 at 00 and at 01 UTC. On the 29th, that hour is at 00 UTC, and high once.
    shift = datetime(2022, 10, 30, 23, tzinfo=UTC)
    high_once = datetime(2022, 10, 29, tzinfo=UTC) == HOUR
    local_hour = HOUR.dt.convert_time_zone(shape.TIME_ZONE).dt.hour()
    value = pl.when(shift <= HOUR).then(300).when(high_once).then(310).otherwise(100 + local_hour)
    assert found(level(AUTUMN, value), AUTUMN)["shift"] == hours(shift, 1)


@pytest.mark.parametrize("window", [WINDOW, AUTUMN, SPRING], ids=["no change", "autumn", "spring"])
@pytest.mark.parametrize("seed", range(4))
def test_level_shifts_are_those_of_a_slow_loop_over_local_days(window: Window, seed: int) -> None:
    random = np.random.default_rng(seed)
    daily = 100 + 20 * np.sin(np.arange(window.hours) * 2 * np.pi / 24)
    values = daily * random.lognormal(0, 0.1, window.hours)
    for start in random.choice(window.hours - 48, 3, replace=False):
        values[start:] *= random.choice([0.4, 0.7, 1.5, 3.0])
    values[random.choice(window.hours, 5, replace=False)] = np.nan
    rows = level(window, pl.lit(pl.Series(values)).fill_nan(None)).drop_nulls()
    flags = shape.level_shifts(shape.grid(rows, window))
    assert flags["datetime_utc"].to_list() == slow_level_shifts(rows, window)


def slow_level_shifts(rows: pl.DataFrame, window: Window) -> list[datetime]:
    known = dict(rows.select("datetime_utc", "energy_consumption").iter_rows())
    times = [window.start + timedelta(hours=hour) for hour in range(window.hours)]
    local = {time: time.astimezone(ZoneInfo(shape.TIME_ZONE)) for time in times}

    def side(time: datetime) -> int:
        earlier = [
            (local[each].date(), value)
            for each, value in known.items()
            if local[each].hour == local[time].hour
            and (local[time].date() - local[each].date()).days >= shape.SHIFT_LAG_DAYS
        ]
        if time not in known or len({day for day, _ in earlier}) < shape.LEAST_DAYS:
            return 0
        low, high = min(value for _, value in earlier), max(value for _, value in earlier)
        margin = shape.SHIFT_MARGIN * (high - low)
        return int(known[time] > high + margin) - int(known[time] < low - margin)

    def median(some: list[datetime]) -> float:
        values = [known[each] for each in some if each in known]
        return float(np.median(values)) if len(values) >= 12 else np.nan

    sides = [side(time) for time in times]
    outside = [abs(sum(sides[at : at + 24])) == 24 for at in range(len(times))]
    begins = [at for at in range(len(times)) if outside[at] and not (at and outside[at - 1])]
    factors = {at: median(times[at : at + 24]) / median(times[max(at - 24, 0) : at]) for at in begins}
    sudden = [at for at, factor in factors.items() if factor >= shape.SHIFT_FACTOR or factor <= 1 / shape.SHIFT_FACTOR]
    return [times[at] for at in sudden]


def test_an_hour_that_comes_twice_on_one_local_day_is_one_day_of_what_is_usual() -> None:
    # Seven values at the local hour 2, on six local days; the seventh day has none.
    short = Window(datetime(2022, 10, 25, 22, tzinfo=UTC), datetime(2022, 11, 2, tzinfo=UTC))
    zero = datetime(2022, 10, 31, 1, tzinfo=UTC)
    rows = level(short, pl.when(zero == HOUR).then(0).otherwise(100 + HOUR.dt.hour()))
    rows = rows.filter(datetime(2022, 10, 26, 0, tzinfo=UTC) != HOUR)
    assert rows.filter(HOUR.dt.convert_time_zone(shape.TIME_ZONE).dt.hour() == 2).height == 7
    assert "zero" not in found(rows, short)


@pytest.mark.parametrize("threads", ["1", "2", "4", "16"])
def test_the_rules_do_not_depend_on_the_number_of_threads(threads: str) -> None:
    # A filter over several threads leaves empty chunks, on which pl.format panics.
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("spiked_series.py")],
        env={**os.environ, "POLARS_MAX_THREADS": threads},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, SPIKED), done.stderr


SPIKED = "".join(f"{area}/{kind} spike 2022-05-20 {hour:02}\n" for area, kind in SERIES_DE35[:4] for hour in (9, 10))


def test_a_window_of_a_day_is_too_short_to_tell_what_is_usual(clean: pl.DataFrame) -> None:
    day = Window(AT, AT + timedelta(days=1))
    assert found(broken(clean, HOUR.eq(AT + timedelta(hours=3)), VALUE * 9).filter(HOUR >= AT), day) == {}


def test_a_rule_looks_at_each_series_alone(clean: pl.DataFrame) -> None:
    spiky = broken(clean, HOUR == AT, VALUE * 3)
    alone = spiky.filter(pl.col("consumer_type") == "421")
    assert found(spiky) == found(alone)
    assert found(spiky.sample(fraction=1, shuffle=True, seed=1)) == found(spiky)


def test_rows_without_a_place_and_no_rows_at_all_do_no_harm(clean: pl.DataFrame) -> None:
    wrong = clean.head(2).with_columns(HOUR + pl.Series([timedelta(minutes=30), timedelta(days=99)]))
    nameless = clean.head(1).with_columns(pl.lit(None, dtype=pl.String).alias("area"))
    assert found(pl.concat([clean, wrong, nameless, clean.head(3)])) == {}
    assert found(clean.clear()) == {}


def test_missing_hours_do_no_harm(clean: pl.DataFrame) -> None:
    holes = clean.filter(~HOUR.is_between(AT, AT + timedelta(hours=30)))
    assert found(holes) == {}


def test_the_demonstration_has_few_flags() -> None:
    for month in (1, 4, 7, 10):
        window = Window(datetime(2022, month, 1, tzinfo=UTC), datetime(2022, month, 30, tzinfo=UTC))
        rows = demo.observations(window.start, window.end, known_at=window.end + timedelta(days=60))
        # Street lights that go on an hour earlier, and a few steps of utilities.
        assert sum(len(flags) for flags in found(rows, window).values()) <= 6


@pytest.mark.real_data
@pytest.mark.skipif(not REAL_DATA, reason="ML_PIPELINE_REAL_DATA does not name the published data set")
def test_the_published_data_have_few_flags() -> None:
    rows = pl.read_parquet(str(REAL_DATA)).select(
        area="PriceArea",
        consumer_type="ConsumerType_DE35",
        datetime_utc=pl.col("HourUTC").str.to_datetime(time_unit="us").dt.replace_time_zone("UTC"),
        energy_consumption=pl.col("TotalCon").cast(pl.Float64),
    )
    window = Window(datetime(2022, 12, 21, 16, tzinfo=UTC), datetime(2023, 1, 20, 16, tzinfo=UTC))
    counts = {name: len(flags) for name, flags in found(rows, window).items()}
    # 54,720 values; the two shifts are workshops that come back from Christmas.
    assert counts == {"spike": 50, "shift": 2}
