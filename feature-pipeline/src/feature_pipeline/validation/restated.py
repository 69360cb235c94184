"""Known hours that come again with other values: times a constant factor, or most of them in most series.

Each series is compared with its own values known before the run, hour by hour. A factor says that the unit, or the
sign, of the source has changed, so it is an error. Restatements by no common factor are stored with a warning.
"""

from typing import Final

import polars as pl

from feature_pipeline.wording import counted, some
from forecast_core.contracts.schema import KEY, SERIES

LEAST_HOURS: Final = 24
"""Known hours that must come again before a series is judged: a day, so that every hour of the day is among them."""
NEARLY_ALL: Final = 0.9
"""Share of the known hours that must follow one factor. A correction of one day in a window of 30 days, however large,
is 3 % of them."""
MOST: Final = 0.5
"""Share of the known hours, and of the series, that must have changed for a restatement to be told. Honest corrections
change about 1 % of the values, or few series."""
ORDINARY: Final = (0.75, 4 / 3)
"""Factors between these are corrections if they hit few series: a series is corrected by 20 % at times, and the
nearest confusions of units are 1.341 (horsepower hours) and 0.278 (MJ)."""
SHARED: Final = 0.005
"""Factors of several series are one if they differ by less than this fraction; so is a factor and an accepted one.
A factor nearer than this to 1 is none."""
FIT: Final = 1e-3
"""Fraction by which a value may miss the known value times the factor, besides the rounding of both."""
DIGITS: Final = 4
"""Significant digits of a factor, so that the next run finds the same one."""
_DECIMALS: Final = 3
"""Most decimals whose rounding is allowed for: sources publish kWh or MWh with up to three."""
_SAME: Final = 1e-9
"""Relative difference up to which values are equal: sums of parts in another order differ by less."""


def compared(given: pl.DataFrame, known: pl.DataFrame, *, accepted: pl.DataFrame) -> pl.DataFrame:
    """Return one row per series of which at least ``LEAST_HOURS`` known hours, not zero, come again, sorted.

    Args:
        given: OBSERVATIONS that come now.
        known: OBSERVATIONS known before.
        accepted: ACCEPTED; a factor near an accepted one of its series is given as the accepted one.

    Returns:
        SERIES, ``hours`` (known hours, not zero, that come again), ``changed`` (of these, hours with another value),
        ``change`` (median relative change of these), ``factor`` (by which nearly all of the hours come again, a sign
        of another unit; else null) and ``follow`` (hours that follow it).
    """
    before, now = pl.col("before"), pl.col("energy_consumption")
    both = given.drop_nulls().join(
        known.rename({"energy_consumption": "before"}).filter(before != 0), on=KEY, how="inner"
    )
    ratio = now / before
    differs = (now - before).abs() > _SAME * pl.max_horizontal(now.abs(), before.abs())
    # Large values tell the factor best: rounding hides it in small ones.
    large = before.abs() >= before.abs().median().over(SERIES)
    rounding = 0.5 * (_unit(now) + pl.col("median").abs() * _unit(before))
    rows = (
        both.with_columns(median=ratio.filter(large).median().over(SERIES), differs=differs)
        .with_columns(rounding=rounding.over(SERIES))
        .with_columns(fits=(now - pl.col("median") * before).abs() <= FIT * now.abs() + pl.col("rounding"))
    )
    table = (
        rows.group_by(SERIES)
        .agg(
            hours=pl.len(),
            changed=pl.col("differs").sum(),
            change=(ratio - 1).abs().filter("differs").median(),
            factor=pl.col("median").first().round_sig_figs(DIGITS),
            follow=pl.col("fits").sum(),
        )
        .filter(pl.col("hours") >= LEAST_HOURS)
        .sort(SERIES)
    )
    return _with_factors(table, accepted)


def _with_factors(table: pl.DataFrame, accepted: pl.DataFrame) -> pl.DataFrame:
    """Set ``factor`` to null where it is none, and to the accepted one that it is near to."""
    nearly = NEARLY_ALL * pl.col("hours")
    factor = pl.col("factor")
    constant = (pl.col("follow") >= nearly) & (pl.col("changed") >= nearly) & ((factor - 1).abs() > SHARED)
    table = table.with_columns(factor=pl.when(constant).then(factor))
    factors = table["factor"].drop_nulls().to_list()
    shared = [
        each
        for each in factors
        if len(alike := [other for other in factors if _near(other, each)]) > 1 and 2 * len(alike) > table.height
    ]
    unusual = ~factor.is_between(*ORDINARY) | factor.is_in(shared)
    table = table.with_columns(factor=pl.when(unusual).then(factor))
    known = accepted.filter(pl.col("expectation") == "factor")
    for area, kind, agreed in known.select(*SERIES, "factor").iter_rows():
        same = (pl.col("area") == area) & (pl.col("consumer_type") == kind)
        near = ((factor - agreed).abs() <= SHARED * abs(agreed)).fill_null(value=False)
        table = table.with_columns(factor=pl.when(same & near).then(pl.lit(agreed)).otherwise(factor))
    return table


def factors(table: pl.DataFrame) -> pl.DataFrame:
    """Return SERIES, ``factor`` and ``reason`` of the series of ``compared`` that come again times a factor."""
    reason = pl.format(
        "{} of {} known hours come again times {}",
        "follow",
        "hours",
        pl.col("factor").map_elements(_number, return_dtype=pl.String),
    )
    found = table.filter(pl.col("factor").is_not_null()).rechunk()
    return found.select(*SERIES, "factor", reason=reason)


def restatements(table: pl.DataFrame) -> pl.DataFrame:
    """Return SERIES and ``reason`` of the series of ``compared`` whose hours changed, most of both."""
    found = _restated(table)
    reason = pl.format(
        "{} of {} known hours have other values, by {} % in the median",
        "changed",
        "hours",
        (100 * pl.col("change")).round_sig_figs(2).cast(pl.String),
    )
    return found.rechunk().select(*SERIES, reason=reason)


def told(table: pl.DataFrame) -> str:
    """Return the warning about ``restatements``: how many values, by how much, and of which series most."""
    found = _restated(table)
    changed, hours = int(found["changed"].sum()), int(table["hours"].sum())
    typical = f"{100 * float(found['change'].median() or 0):.2g} %"  # type: ignore[arg-type]
    most = found.sort("change", "changed", descending=True, maintain_order=True).head(3)
    names = [
        f"{area}/{kind} ({100 * change:.2g} %)" for area, kind, change in most.select(*SERIES, "change").iter_rows()
    ]
    return (
        f"most known hours of {found.height} of {table.height} series come again with other values, by no common "
        f"factor: {changed:,} of {counted(hours, 'value')} restated, by {typical} in the median; most: {some(names)}. "
        "They were stored; ask the source whether it restated them"
    )


def _restated(table: pl.DataFrame) -> pl.DataFrame:
    found = table.filter(pl.col("factor").is_null(), pl.col("changed") > MOST * pl.col("hours"))
    return found if found.height > MOST * table.height else found.clear()


def _near(one: float, other: float) -> bool:
    return abs(one - other) <= SHARED * abs(other)


def _unit(values: pl.Expr) -> pl.Expr:
    """Return the power of ten, from 1 down to .001, of which all values are multiples; 0 if there is none."""
    unit = pl.lit(0.0)
    for decimals in range(_DECIMALS, -1, -1):
        whole = (values - values.round(decimals)).abs().max() <= _SAME * values.abs().max()
        unit = pl.when(whole).then(pl.lit(10.0**-decimals)).otherwise(unit)
    return unit


def _number(factor: float) -> str:
    return f"{factor:.{DIGITS}g}"
