"""Runs whose window was known before: what stops, what one release lets pass, what stays, and what is told.

Classes of fault: a changed unit becomes a forecast of a thousandth; a series that feeds in stops every hour again;
a blank takes the place of a known value; a rerun forgets that it did not take corrected values; a release accepts more
than what it was meant for.
"""

import shlex
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from feature_pipeline import pipeline, quarantine
from feature_pipeline.__main__ import main
from forecast_core.contracts.errors import InvalidArgument, NotFoundError, ValidationError
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore
from forecast_core.quarantine import Quarantine

REFERENCE = datetime(2023, 2, 4, 16, tzinfo=UTC)
DATASET = "ConsumptionDE35Hour"
DAYS = 2
VALUE, HOUR = pl.col("TotalCon"), pl.col("HourUTC")
FIRST = (pl.col("PriceArea") == "DK1") & (pl.col("ConsumerType_DE35") == "111")
OTHER = (pl.col("PriceArea") == "DK2") & (pl.col("ConsumerType_DE35") == "441")
NIGHT = HOUR.str.slice(11, 2).is_in(["00", "01", "02"])
Run = Callable[..., pipeline.RunResult]


@pytest.fixture
def run(archive: Callable[[pl.DataFrame], str], settings: Settings) -> Run:
    def at(frame: pl.DataFrame, hours: int = 0) -> pipeline.RunResult:
        return pipeline.run(REFERENCE + timedelta(hours=hours), 15, DAYS, archive(frame), settings=settings)

    return at


@pytest.fixture
def few(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of four series in the four days around the window."""
    some = rows.drop("HourDK").filter(pl.col("ConsumerType_DE35").is_in(["111", "441"]))
    time = HOUR.str.to_datetime("%Y-%m-%dT%H:%M:%S")
    days = [
        some.with_columns(
            (time + timedelta(days=day)).dt.strftime("%Y-%m-%dT%H:%M:%S").alias("HourUTC"), VALUE + 3 * day
        )
        for day in (1, 0, -1, -2)
    ]
    return pl.concat(days).with_columns(VALUE.cast(pl.Float64) * 100)


def changed(rows: pl.DataFrame, when: pl.Expr, value: pl.Expr | float | None) -> pl.DataFrame:
    return rows.with_columns(pl.when(when).then(value).otherwise(VALUE).alias("TotalCon"))


def release(settings: Settings, **options: Any) -> quarantine.Released:
    return quarantine.release(DATASET, "it is right", "2023-02-05T09:00", settings=settings, **options)


def obey(error: ValidationError, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the command that the message of an error gives."""
    command = str(error).split("`")[1]
    assert command.startswith("python -m feature_pipeline quarantine release ")
    monkeypatch.setenv("ML_PIPELINE_ROOT_DIR", str(settings.root))
    return main([*shlex.split(command)[3:], "--when", "2023-02-05T09:00"])


def known(settings: Settings, hours: int = 0, series: tuple[str, str] = ("DK1", "111")) -> pl.DataFrame:
    reference = REFERENCE + timedelta(hours=hours)
    return FeatureStore(settings).read(
        dataset=DATASET,
        feature_group_version=1,
        window=Window.before(reference, days_delay=15, days_export=DAYS),
        reference_datetime=reference,
        series=[series],
    )


def test_a_factor_stops_until_it_is_released_for_that_series_and_factor(
    run: Run, few: pl.DataFrame, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(few)
    with pytest.raises(ValidationError, match=r"DK1/111, DK2/441: 47 of 47 known hours come again times 0.001"):
        run(changed(few, FIRST | OTHER, VALUE / 1000), 1)
    assert (known(settings, 1)["energy_consumption"] > 40_000).all()
    with pytest.raises(ValidationError, match=r"46 of 46 known hours come again times 0.001") as caught:
        run(changed(few, FIRST, VALUE / 1000), 2)
    assert len(f"ValidationError: {caught.value}") <= 500
    assert obey(caught.value, settings, monkeypatch) == 0
    with pytest.raises(ValidationError, match=r"DK2/441: 47 of 47 known hours come again times 0\.001"):
        run(changed(few, FIRST | OTHER, VALUE / 1000), 1)
    with pytest.raises(ValidationError, match=r"DK1/111: 46 of 46 known hours come again times 0.01"):
        run(changed(few, FIRST, VALUE / 100), 2)
    result = run(changed(few, FIRST, VALUE / 1000), 2)
    assert "factor" not in result["validation_warnings"]
    assert (known(settings, 2)["energy_consumption"] < 2_000).all()
    # Later runs compare with the new unit; the known values of before come again times 1000.
    assert run(changed(few, FIRST, VALUE / 1000), 3)["revised"] == 0
    with pytest.raises(ValidationError, match=r"come again times 1000"):
        run(few, 4)


def test_negative_values_are_ordinary_after_one_release(
    run: Run, few: pl.DataFrame, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    feeds_in = changed(few, FIRST & NIGHT, -VALUE)
    with pytest.raises(ValidationError, match=r"DK1/111 at .* and \d more rows: .* at least 0 kWh") as caught:
        run(feeds_in, 0)
    assert obey(caught.value, settings, monkeypatch) == 0
    (accepted,) = Quarantine(settings).accepted(dataset=DATASET, feature_group_version=1).iter_rows(named=True)
    assert (accepted["expectation"], accepted["datetime_utc"], accepted["known_from"]) == ("negative", None, REFERENCE)
    assert Quarantine(settings).read(pending=True).filter(severity="error").is_empty()
    run(feeds_in, 0)
    assert (known(settings)["energy_consumption"] < 0).sum() == 6
    # New hours, other values and a rerun need no other release.
    run(changed(few, FIRST & NIGHT, -VALUE * 1.07), 12)
    run(feeds_in, 0)
    assert (known(settings, 12)["energy_consumption"] < 0).sum() == 6
    with pytest.raises(ValidationError, match=r"DK2/441 at"):
        run(changed(few, (FIRST | OTHER) & NIGHT, -VALUE), 13)
    with pytest.raises(
        ValidationError,
        match=r"= -20000000.0 and 5 more rows: .* within ±10,000,000 kWh \(maximum_kwh in feature_pipeline.datasets\)",
    ):
        run(changed(few, FIRST & NIGHT, -2e7), 13)
    with pytest.raises(ValidationError, match=r"at least 0 kWh"):
        run(feeds_in, -1)


def test_negative_values_of_named_hours_are_released_alone(run: Run, few: pl.DataFrame, settings: Settings) -> None:
    hour = "2023-01-20T01:00"
    negative = changed(few, FIRST & (hour + ":00" == HOUR), -7.0)
    with pytest.raises(ValidationError):
        run(negative)
    released = release(settings, start_datetime=hour)
    assert released["released"] == [
        {
            "area": "DK1",
            "consumer_type": "111",
            "expectation": "negative",
            "factor": None,
            "rows": 1,
            "first_hour": "2023-01-20 01:00",
            "last_hour": "2023-01-20 01:00",
            "holds": "for these values of these hours, in all runs",
        }
    ]
    run(negative)
    with pytest.raises(ValidationError, match=r"= -8.0"):
        run(changed(few, FIRST & (hour + ":00" == HOUR), -8.0), 1)


def test_a_release_is_from_one_rule_and_makes_no_series_by_accident(
    run: Run, few: pl.DataFrame, settings: Settings
) -> None:
    named = pl.when(OTHER & NIGHT).then(pl.lit("777")).otherwise("ConsumerType_DE35").alias("ConsumerType_DE35")
    bad = changed(few, FIRST & NIGHT, 2e7).with_columns(named)
    with pytest.raises(ValidationError, match=r"2 validation rules failed.*also failed: range \(6\)"):
        run(bad)
    pending = Quarantine(settings).read(pending=True)
    assert pending.filter(severity="warning").height >= 72
    with pytest.raises(InvalidArgument, match=r"from one rule: .* known_consumer_type \(6\), range \(6\)"):
        release(settings)
    with pytest.raises(InvalidArgument, match=r"makes a new series: name it, .* DK2/777"):
        release(settings, expectation="known_consumer_type")
    with pytest.raises(NotFoundError, match=r"no such rows that fail 'negative'; .* range \(6\)"):
        release(settings, expectation="negative")
    released = release(settings, expectation="range")
    assert released["accepted"] == 6
    assert released["not_released"]["known_consumer_type"] == 6
    (series,) = released["released"]
    assert (series["area"], series["consumer_type"], series["rows"]) == ("DK1", "111", 6)
    left = Quarantine(settings).read(pending=True)
    assert left.height == pending.height - 6
    with pytest.raises(ValidationError, match=r"1 validation rule failed.*make a new series: .* --series DK2/777 "):
        run(bad)
    # A series that a person has named is one from then on: its hours to come need no other release.
    release(settings, expectation="known_consumer_type", series=["DK2/777"])
    assert run(bad)["series"] == 5
    assert run(bad.with_columns(VALUE.replace({2e7: 1e5})), 1)["series"] == 5


def test_a_blank_keeps_the_known_value_and_is_told_in_every_run(
    run: Run, few: pl.DataFrame, settings: Settings
) -> None:
    assert run(few)["kept"] == 0
    blank = changed(few, FIRST & NIGHT, None)
    for hours in (1, 2):
        result = run(blank, hours)
        assert result["kept"] == 6
        assert any(
            "6 hours with a known value came without one, first DK1/111 at" in line for line in result["warnings"]
        )
        assert known(settings, hours).height == 48
    absent = few.filter(~(FIRST & NIGHT))
    assert run(absent, 3)["kept"] == 6
    assert run(few, 4)["kept"] == 0


def test_a_rerun_keeps_findings_of_the_values_that_stay_and_says_what_it_did_not_take(
    run: Run, few: pl.DataFrame, settings: Settings
) -> None:
    wrong = changed(few, FIRST & (HOUR >= "2023-01-20T10"), 77.0)
    first = run(wrong)
    findings = Quarantine(settings).read()
    assert first["validation_warnings"]["flat_line"] == 4
    again = run(few)
    assert (again["not_taken"], again["conflicting"]) == (6, 6)
    assert again["validation_warnings"] == first["validation_warnings"]
    assert Quarantine(settings).read().equals(findings)
    ingest = FeatureStore(settings).latest_ingest(feature_group_version=1)
    assert ingest is not None
    assert ingest.record["not_taken"] == 6
    assert any("6 values differ from those stored" in line for line in ingest.record["warnings"])
    later = run(few, 1)
    assert (later["not_taken"], later["revised"]) == (0, 6)
    assert "flat_line" not in later["validation_warnings"]


def test_a_restatement_of_most_series_is_stored_and_told(run: Run, few: pl.DataFrame) -> None:
    run(few)
    spread = 1.02 + (pl.int_range(pl.len()) * 37 % 11) / 100
    result = run(few.with_columns(VALUE * spread), 1)
    assert result["validation_warnings"]["restated"] == 4
    (line,) = [line for line in result["warnings"] if "come again" in line]
    assert line.startswith("most known hours of 4 of 4 series come again with other values, by no common factor")
    assert "188 of 188 values restated, by 7 % in the median" in line
    assert result["revised"] == 188


def test_a_source_that_went_over_to_quarter_hours_is_told_as_such(run: Run, few: pl.DataFrame) -> None:
    late = HOUR >= "2023-01-20T06"
    quarters = [few] + [
        few.filter(late).with_columns(HOUR.str.slice(0, 14) + f"{minute}:00") for minute in ("15", "30", "45")
    ]
    with pytest.raises(
        ValidationError, match=r"quarter hours from 2023-01-20 06:00 on, 120 rows: datetime_utc must be"
    ):
        run(pl.concat(quarters))
