"""Danish time in a column of UTC.

The class: a source writes hours of the Danish clock where UTC is expected, for all of its hours, a season or some
weeks. What a second column or the hours of the clock's change prove stops the run; what is only likely is a warning;
and right sources, also with an hour missing at an unlucky time, hear nothing of it.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from feature_pipeline import demo, pipeline
from feature_pipeline.clock import TIME_ZONE
from forecast_core.contracts.errors import SourceError, ValidationError
from forecast_core.contracts.settings import Settings

SERIES = [("DK1", "111"), ("DK1", "999"), ("DK2", "111"), ("DK2", "441")]
DAYS = timedelta(days=1)
WINTER, SPRING, SUMMER, AUTUMN = (datetime(2024, month, 12, tzinfo=UTC) for month in (3, 4, 7, 11))
"""Reference times; the windows of the second and of the last contain a change of the clock."""


def portal(reference: datetime, *, days: int = 30) -> pl.DataFrame:
    """Return rows as the portal has them: hours in UTC and on the Danish clock, both as text."""
    series = pl.DataFrame(SERIES, schema=["area", "consumer_type"], orient="row")
    rows = demo.observations(reference - days * DAYS, reference, known_at=reference + 90 * DAYS).join(
        series, on=["area", "consumer_type"]
    )
    form = "%Y-%m-%dT%H:%M:%S"
    hour = pl.col("datetime_utc")
    return rows.sort("datetime_utc", "area", "consumer_type").select(
        HourUTC=hour.dt.strftime(form),
        HourDK=hour.dt.convert_time_zone(TIME_ZONE).dt.strftime(form),
        PriceArea="area",
        ConsumerType_DE35="consumer_type",
        TotalCon=pl.col("energy_consumption").round(1),
    )


def run(rows: pl.DataFrame, tmp_path: Path, reference: datetime, *, clock: str | None = None) -> pipeline.RunResult:
    path = tmp_path / "x.csv"
    rows.write_csv(path)
    settings = Settings.model_validate({"root_dir": tmp_path / "root", "source_clock": clock})
    return pipeline.run(reference, 0, 30, str(path), settings=settings)


def about_clocks(result: pipeline.RunResult) -> list[str]:
    return [warning for warning in result["warnings"] if "ML_PIPELINE_SOURCE_CLOCK" in warning or "HourDK" in warning]


@pytest.mark.parametrize("reference", [WINTER, SPRING, SUMMER, AUTUMN])
def test_right_times_say_nothing(tmp_path: Path, reference: datetime) -> None:
    rows = portal(reference)
    assert about_clocks(run(rows, tmp_path, reference)) == []
    assert about_clocks(run(rows, tmp_path, reference + timedelta(hours=1))) == []
    assert about_clocks(run(rows.drop("HourDK"), tmp_path, reference + timedelta(hours=2))) == []


LATE = pl.col("HourUTC") >= "2024-02-25"


@pytest.mark.parametrize(
    ("reference", "hour_utc", "hours", "ahead", "right"),
    [
        (WINTER, pl.col("HourDK"), 719, 0, 1),
        (SUMMER, pl.col("HourDK"), 718, 0, 2),
        (WINTER, pl.when(LATE).then("HourDK").otherwise("HourUTC"), 383, 0, 1),
        # An export that never uses summer time.
        (
            SUMMER,
            pl.col("HourUTC").str.to_datetime().dt.offset_by("1h").dt.strftime("%Y-%m-%d %H:%M"),
            719,
            1,
            2,
        ),
    ],
)
def test_a_second_column_that_contradicts_stops_the_run(
    tmp_path: Path, reference: datetime, hour_utc: pl.Expr, hours: int, ahead: int, right: int
) -> None:
    rows = portal(reference).with_columns(hour_utc.alias("HourUTC"))
    message = (
        rf"HourUTC .* is not UTC, by its column HourDK: in {hours} hours .* HourDK is {ahead} h ahead of it and should "
        rf"be {right} h \(line \d+: HourUTC 2024"
    )
    with pytest.raises(SourceError, match=message) as caught:
        run(rows, tmp_path, reference)
    assert len(str(caught.value)) <= 500
    with pytest.raises(SourceError, match="is not UTC"):
        run(rows.rename({"HourUTC": "HourDK", "HourDK": "HourUTC"}), tmp_path, reference)
    if "2024-02-25" not in str(hour_utc):
        assert run(rows, tmp_path, reference, clock="utc")["rows"] > 2800


def test_slips_of_single_rows_in_the_second_column_are_a_warning(tmp_path: Path) -> None:
    rows = portal(WINTER).with_columns(
        pl.when(pl.int_range(pl.len()) % 100 == 7).then("HourUTC").otherwise("HourDK").alias("HourDK")
    )
    (warning,) = about_clocks(run(rows, tmp_path, WINTER))
    assert warning.startswith("HourDK is not the Danish time of HourUTC in 29 rows (line 9: ")
    assert warning.endswith("; HourUTC was used")


def test_an_offset_written_in_the_second_column_is_no_contradiction(tmp_path: Path) -> None:
    rows = portal(SPRING).with_columns(pl.when(LATE).then(pl.col("HourDK") + "+01:00").otherwise("HourDK"))
    assert about_clocks(run(rows, tmp_path, SPRING)) == []


def local_only(reference: datetime) -> pl.DataFrame:
    return portal(reference, days=31).drop("HourUTC").rename({"HourDK": "HourUTC"})


def test_the_hour_that_the_autumn_doubles_stops_the_run(tmp_path: Path) -> None:
    message = (
        "are on the Danish clock, not UTC: 4 of 4 series have two values at 2024-10-27 02:00, the hour that this clock "
        "shows twice, and in no other hour"
    )
    with pytest.raises(SourceError, match=message):
        run(local_only(AUTUMN), tmp_path, AUTUMN)
    # A source that has every hour of that day twice is wrong in another way.
    rows = portal(AUTUMN).drop("HourDK")
    twice = rows.filter(pl.col("HourUTC").str.starts_with("2024-10-27")).with_columns(pl.col("TotalCon") + 1)
    with pytest.raises(ValidationError, match="one value"):
        run(pl.concat([rows, twice]), tmp_path, AUTUMN)


def test_the_hour_that_the_spring_leaves_out_stops_the_run(tmp_path: Path) -> None:
    message = (
        "are on the Danish clock, not UTC: no series has a value at 2024-03-31 02:00, the hour that the Danish clock "
        "leaves out, and the daily profile .* is not an hour earlier"
    )
    with pytest.raises(SourceError, match=message) as caught:
        run(local_only(SPRING), tmp_path, SPRING)
    assert len(str(caught.value)) <= 500


def test_an_hour_that_is_missing_by_chance_at_the_change_of_the_clock_stops_nothing(tmp_path: Path) -> None:
    rows = portal(SPRING).drop("HourDK").filter(pl.col("HourUTC") != "2024-03-31T02:00:00")
    assert about_clocks(run(rows, tmp_path, SPRING)) == []


@pytest.mark.parametrize("hours", [1, 2])
def test_values_known_for_an_earlier_hour_are_a_warning(tmp_path: Path, hours: int) -> None:
    rows = portal(SUMMER).drop("HourDK")
    run(rows, tmp_path, SUMMER)
    later = SUMMER + timedelta(hours=3)
    stamp = pl.col("HourUTC").str.to_datetime()
    moved = rows.with_columns(
        pl.when(stamp >= datetime(2024, 7, 2, tzinfo=UTC).replace(tzinfo=None))
        .then(stamp.dt.offset_by(f"{hours}h"))
        .otherwise(stamp)
        .dt.strftime("%Y-%m-%dT%H:%M:%S")
        .alias("HourUTC")
    )
    (warning,) = about_clocks(run(moved, tmp_path, later))
    assert f"days from 2024-07-02 to 2024-07-11 are those known for {hours} h earlier" in warning


@pytest.mark.parametrize("known", [True, False])
def test_a_daily_profile_that_moves_is_a_warning(tmp_path: Path, known: bool) -> None:
    """No value comes again: the window's hours were not known before."""
    if known:
        run(portal(SUMMER - 30 * DAYS).drop("HourDK"), tmp_path, SUMMER - 30 * DAYS)
    rows = portal(SUMMER, days=31)
    since = "2024-06-12" if known else "2024-07-01"
    moved = rows.with_columns(pl.when(pl.col("HourUTC") >= since).then("HourDK").otherwise("HourUTC").alias("HourUTC"))
    (warning,) = about_clocks(run(moved.drop("HourDK"), tmp_path, SUMMER))
    assert "the daily profile is 2 h later than on the days before: these times may be on another clock" in warning
