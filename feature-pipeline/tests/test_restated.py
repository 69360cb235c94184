"""Known hours that come again with other values.

The class of fault: a source gives hours again that are known already, all in another unit, with another sign, or
otherwise restated, and the new values replace the known ones without anybody being told.
"""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from feature_pipeline.validation import restated
from feature_pipeline.validation.known import settled
from forecast_core.contracts.schema import OBSERVATIONS
from forecast_core.quarantine import ACCEPTED

START = datetime(2024, 2, 10, tzinfo=UTC)
NONE_ACCEPTED = pl.DataFrame(schema=ACCEPTED)
VALUE, KIND = pl.col("energy_consumption"), pl.col("consumer_type")
NUMBER = pl.int_range(pl.len())
NOISE = pl.int_range(pl.len()).hash(7) % 1000 / 1000


def values(*sizes: float, hours: int = 720, decimals: int = 3) -> pl.DataFrame:
    """Hourly values of series DK1/0, DK1/1, … of about these sizes, with a daily wave and noise."""
    wave = 1 + 0.3 * (NUMBER * 2 * 3.141592653589793 / 24).sin()
    hour = pl.datetime_range(START, START + timedelta(hours=hours - 1), "1h", time_unit="us")
    frames = [
        pl.select(
            area=pl.lit("DK1"),
            consumer_type=pl.lit(str(number)),
            datetime_utc=hour,
        ).with_columns(energy_consumption=(size * wave * (0.95 + 0.1 * NOISE)).round(decimals))
        for number, size in enumerate(sizes)
    ]
    return pl.concat(frames).select(pl.col(name).cast(kind) for name, kind in OBSERVATIONS.items())


KNOWN = values(50_000.0, 400_000.0, 30_000.0, 2_000.0)
FIRST = KIND == "0"


def changed(value: pl.Expr, when: pl.Expr = FIRST, known: pl.DataFrame = KNOWN) -> pl.DataFrame:
    return known.with_columns(pl.when(when).then(value).otherwise(VALUE).alias("energy_consumption"))


def compared(given: pl.DataFrame, known: pl.DataFrame = KNOWN, accepted: pl.DataFrame = NONE_ACCEPTED) -> pl.DataFrame:
    return restated.compared(given, known, accepted=accepted)


def factors(given: pl.DataFrame, known: pl.DataFrame = KNOWN) -> dict[str, float]:
    found = compared(given, known).filter(pl.col("factor").is_not_null())
    return dict(found.select("consumer_type", "factor").iter_rows())


@pytest.mark.parametrize("factor", [0.001, 1000.0, 10.0, 0.1, -1.0, 3.6, 0.2778, 4.0, 0.25, 1.5, 0.5, 1.341, -0.001])
def test_a_constant_factor_is_found_in_the_series_that_it_hits(factor: float) -> None:
    found = factors(changed((VALUE * factor).round(3)))
    assert found == {"0": pytest.approx(factor, rel=1e-3)}


def test_a_factor_is_found_through_rounding_and_in_small_series() -> None:
    known = values(50_000.0, 900.0, 40.0, decimals=0)
    assert factors((known.with_columns((VALUE * 0.001).round(3))), known) == dict.fromkeys("012", 0.001)
    assert factors((known.with_columns((VALUE * 0.01).round(0))), known)["0"] == 0.01
    assert set(factors((values(3.0, decimals=0).with_columns(VALUE * 1000)), values(3.0, decimals=0))) == {"0"}


def test_a_factor_is_found_though_a_few_hours_are_corrected_or_new() -> None:
    given = changed(VALUE * 0.001).with_columns(
        pl.when(NUMBER % 20 == 0).then(VALUE * 1.1).otherwise(VALUE).alias("energy_consumption")
    )
    assert factors(given) == {"0": 0.001}
    late = KNOWN.filter(pl.col("datetime_utc") >= START + timedelta(hours=700))
    assert factors(changed(VALUE * 0.001), late) == {}, "20 hours that come again are no evidence"
    day = KNOWN.filter(pl.col("datetime_utc") >= START + timedelta(hours=696))
    assert factors(changed(VALUE * 0.001), day) == {"0": 0.001}


def test_zeros_where_values_are_known_are_the_factor_zero() -> None:
    assert factors(changed(VALUE * 0)) == {"0": 0.0}


def test_a_unit_near_to_the_known_one_is_found_if_most_series_share_it() -> None:
    assert factors(changed(VALUE * 1.163)) == {}
    assert factors(KNOWN.with_columns(VALUE * 1.163)) == pytest.approx(dict.fromkeys("0123", 1.163))
    assert factors(changed(VALUE * 0.86, KIND != "0")) == pytest.approx(dict.fromkeys("123", 0.86))


HONEST = {
    "nothing": KNOWN,
    "1 % of the values by 3 to 15 %": changed(VALUE * (1.03 + 0.12 * NOISE), NUMBER.hash(3) % 100 == 0),
    "one series by 20 %": changed(VALUE * 1.2),
    "one series down by 20 %": changed((VALUE * 0.8).round(3)),
    "one day of a series, ten times": changed(VALUE / 10, FIRST & (NUMBER < 48)),
    "half of a series, in another unit": changed(VALUE / 1000, FIRST & (NUMBER < 360)),
    "a series by 5 to 15 %": changed(VALUE * (1.05 + 0.1 * NOISE)),
    "two of four series by 5 to 15 %": changed(VALUE * (1.05 + 0.1 * NOISE), KIND.is_in(["0", "1"])),
    "sums in another order": KNOWN.with_columns(VALUE * (1 + 1e-12)),
    "no hour again": KNOWN.with_columns(pl.col("datetime_utc") + timedelta(days=60)),
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_corrections_stay_quiet(name: str) -> None:
    found = compared(HONEST[name])
    assert restated.factors(found).is_empty()
    assert restated.restatements(found).is_empty()


RESTATED = {
    "by up to 5 %": KNOWN.with_columns(VALUE * (0.95 + 0.1 * NOISE)),
    "three of four series": changed(VALUE * (1.05 + 0.1 * NOISE), KIND != "2"),
    "an hour later": KNOWN.with_columns(VALUE.shift(1).over("consumer_type").fill_null(1.0)),
    "nearly all hours": changed(VALUE * (1.05 + 0.1 * NOISE), NUMBER.hash(3) % 33 != 0),
    "two hours in three": changed(VALUE * (1.05 + 0.1 * NOISE), NUMBER % 3 != 0),
    "by a sum": KNOWN.with_columns(VALUE + 100),
}


@pytest.mark.parametrize("name", RESTATED)
def test_a_restatement_of_most_series_is_told_with_its_size(name: str) -> None:
    found = compared(RESTATED[name])
    assert restated.factors(found).is_empty()
    rows = restated.restatements(found)
    assert rows.height == (3 if name.startswith("three") else 4)
    line = restated.told(found)
    assert f"{rows.height} of 4 series" in line
    assert "of 2,880 values restated, by " in line
    assert "most: DK1/" in line
    assert len(line) <= 430


def test_a_factor_near_the_accepted_one_is_the_accepted_one() -> None:
    accepted = pl.DataFrame(
        [{"area": "DK1", "consumer_type": "0", "factor": 0.0010002, "expectation": "factor"}], schema_overrides=ACCEPTED
    )
    accepted = accepted.with_columns(
        pl.lit(None, kind).alias(name) for name, kind in ACCEPTED.items() if name not in accepted.columns
    ).select(ACCEPTED.names())
    found = compared(changed(VALUE * 0.001), accepted=accepted)
    assert found["factor"].drop_nulls().to_list() == [0.0010002]
    assert compared(changed(VALUE * 0.002), accepted=accepted)["factor"].drop_nulls().to_list() == [0.002]
    assert compared(changed(VALUE * 0.001, KIND == "1"), accepted=accepted)["factor"].drop_nulls().to_list() == [0.001]


def test_a_value_that_is_stored_for_the_reference_time_is_the_one_that_is_judged() -> None:
    """A repeated run does not take other values, so it must not lose the findings of those that stay."""
    stored = changed(VALUE * 10, FIRST & (NUMBER < 24))
    whole, refused = settled(KNOWN, stored)
    assert whole.equals(stored.sort("area", "consumer_type", "datetime_utc"))
    assert refused.height == 24
    assert refused.row(0, named=True)["stored"] == pytest.approx(10 * refused.row(0, named=True)["given"])
    less, refused = settled(KNOWN.slice(24), stored)
    assert (less.height, refused.height) == (KNOWN.height, 0)
    twice, _ = settled(pl.concat([KNOWN, KNOWN.head(1)]), stored)
    assert twice.height == KNOWN.height + 1, "two values of one key are for another rule to report"
