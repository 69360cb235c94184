"""Plan the rows that an ingest adds to the stored observations: frames in, frames out.

A key here is a series, by its number, and an hour. An ingest at ``known_at`` gives, for each key in its window, a value
or nothing. The state of a key at an ingest is that value or absence, and only changes of state are stored: a row where
the state differs from that at the ingest before, with null for "asked, and absent". Before the first ingest a key is
absent. When a change is put in between two ingests that were there before, the later one, if it stored nothing, gets a
row with the state that it had implicitly. Why: docs/decisions/0003-observations-as-changes-of-state.md.
"""

from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Final

import polars as pl

from forecast_core.contracts.schema import HOUR, UTC_HOUR
from forecast_core.contracts.window import Window

KEY: Final = ("series", "datetime_utc")

VALUES: Final = pl.Schema({"series": pl.Int32(), "datetime_utc": UTC_HOUR, "energy_consumption": pl.Float64()})
"""One value per key."""

REVISIONS: Final = pl.Schema({**VALUES, "known_at": UTC_HOUR})
"""A stored change of state; ``energy_consumption`` is null for absence."""

COVERAGE: Final = pl.Schema({"datetime_utc": UTC_HOUR, "hours": pl.Int64(), "known_at": UTC_HOUR})
"""That an ingest at ``known_at`` asked for so many hours from ``datetime_utc`` on."""


@dataclass(frozen=True)
class IngestCounts:
    """How the values of an ingest differ from everything known before it; the same when it is repeated.

    Attributes:
        rows: Values given.
        new: Values of keys that had none before.
        revised: Values other than the newest before.
        vanished: Keys that had a value at the ingest before and have none now.
        conflicting: Values other than one already stored for the same ``known_at``; the stored one stays.
    """

    rows: int
    new: int
    revised: int
    vanished: int
    conflicting: int

    def __add__(self, other: "IngestCounts") -> "IngestCounts":
        return IngestCounts(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


def plan(
    given: pl.DataFrame, *, window: Window, known_at: datetime, stored: pl.DataFrame, coverage: pl.DataFrame
) -> tuple[IngestCounts, pl.DataFrame]:
    """Return the counts of an ingest and the rows to store for it.

    Args:
        given: VALUES, keys unique and inside the window.
        window: The hours that were asked for.
        known_at: When the values became known.
        stored: REVISIONS, all that are stored for the window's hours.
        coverage: COVERAGE of the ingests at or after ``known_at``.
    """
    states = (
        given.rename({"energy_consumption": "given"})
        .join(_states_before(stored, known_at), on=KEY, how="full", coalesce=True)
        .join(hours_covered(window, known_at, coverage), on="datetime_utc", how="left")
        # A second ingest at the same time adds what the first did not have, and changes nothing else.
        .with_columns(state=pl.when("covered").then(pl.coalesce("implicit", "given")).otherwise("given"))
    )
    changed = states.filter(_differ("state", "implicit"))
    return _counts(states), pl.concat([_changes(changed, known_at), _successors(changed, stored)])


def as_known_at(revisions: pl.LazyFrame, known_at: datetime) -> pl.LazyFrame:
    """Return the newest value per key with ``known_at`` at or before the one given: VALUES, sorted by key."""
    return (
        revisions.filter(pl.col("known_at") <= known_at, pl.col("energy_consumption").is_not_null())
        .sort(*KEY, "known_at")
        .unique(KEY, keep="last", maintain_order=True)
        .select(VALUES.names())
    )


def with_known_at(revisions: pl.LazyFrame, known_at: datetime) -> pl.LazyFrame:
    """Return ``as_known_at`` with the ``known_at`` from which on each value was the newest one: REVISIONS."""
    return (
        _without_repetition(
            revisions.filter(pl.col("known_at") <= known_at, pl.col("energy_consumption").is_not_null())
        )
        .unique(KEY, keep="last", maintain_order=True)
        .select(REVISIONS.names())
    )


def changes_of_state(revisions: pl.LazyFrame) -> pl.LazyFrame:
    """Return REVISIONS sorted by key and ``known_at``, without those that repeat the state before them.

    The result does not depend on the order in which the ingests came: hours ingested out of order leave rows that
    equal their predecessor since a change was inserted before them. Given the coverage, they are redundant.
    """
    # Of a marker and a value at the same time the value is last, and stays.
    by_time = revisions.sort(*KEY, "known_at", pl.col("energy_consumption").is_not_null())
    states = by_time.unique([*KEY, "known_at"], keep="last", maintain_order=True)
    return _without_repetition(states).select(REVISIONS.names())


def between(revisions: pl.LazyFrame, *, known_from: datetime, known_to: datetime) -> pl.LazyFrame:
    """Return, per key whose value as known at the two times differs, ``before`` and ``after``, sorted by key."""
    arrived = pl.col("known_at").is_between(known_from, known_to, closed="right")
    touched = revisions.join(revisions.filter(arrived).select(KEY).unique(), on=KEY, how="semi")
    before = as_known_at(touched, known_from).rename({"energy_consumption": "before"})
    after = as_known_at(touched, known_to).rename({"energy_consumption": "after"})
    joined = after.join(before, on=KEY, how="left").filter(_differ("before", "after"))
    return joined.select(*KEY, "before", "after").sort(KEY)


def _without_repetition(revisions: pl.LazyFrame) -> pl.LazyFrame:
    state = pl.col("energy_consumption").reinterpret(dtype=pl.Int64)
    by_time = revisions.sort(*KEY, "known_at")
    return by_time.filter(state.ne_missing(state.shift(1).over(KEY, order_by="known_at")))


def _states_before(stored: pl.DataFrame, known_at: datetime) -> pl.DataFrame:
    """Per key: state at ``known_at`` as stored so far, state before it, newest value before it."""
    value, earlier = pl.col("energy_consumption"), pl.col("known_at") < known_at
    return (
        stored.filter(pl.col("known_at") <= known_at)
        # Of a marker and a value at the same time, the value is last, and wins.
        .sort("known_at", value.is_not_null())
        .group_by(KEY)
        .agg(
            implicit=value.last(),
            state_before=value.filter(earlier).last(),
            value_before=value.filter(earlier & value.is_not_null()).last(),
        )
    )


def covers(coverage: pl.DataFrame, window: Window) -> bool:
    """Whether COVERAGE has, together, every hour of the window."""
    reached = window.start
    for start, hours, _ in coverage.sort("datetime_utc").iter_rows():
        if start <= reached:
            reached = max(reached, start + hours * HOUR)
    return reached >= window.end


def hours_covered(window: Window, known_at: datetime, coverage: pl.DataFrame) -> pl.DataFrame:
    """Per hour of the window: whether an ingest at ``known_at`` covered it, and the next ingest that did."""
    hours = pl.datetime_range(window.start, window.end, "1h", closed="left", time_unit="us", eager=True)
    ends = coverage.with_columns(end=pl.col("datetime_utc") + pl.col("hours") * HOUR)
    covering = (
        ends.filter(pl.col("datetime_utc") < window.end, pl.col("end") > window.start, pl.col("known_at") >= known_at)
        .select(
            pl.datetime_ranges(
                pl.max_horizontal("datetime_utc", pl.lit(window.start)),
                pl.min_horizontal("end", pl.lit(window.end)),
                "1h",
                closed="left",
            ).alias("datetime_utc"),
            "known_at",
        )
        .explode("datetime_utc")
        .group_by("datetime_utc")
        .agg(
            covered=(pl.col("known_at") == known_at).any(),
            next_at=pl.col("known_at").filter(pl.col("known_at") > known_at).min(),
        )
    )
    frame = pl.DataFrame({"datetime_utc": hours}, schema={"datetime_utc": UTC_HOUR})
    return frame.join(covering, on="datetime_utc", how="left").with_columns(pl.col("covered").fill_null(value=False))


def _changes(changed: pl.DataFrame, known_at: datetime) -> pl.DataFrame:
    rows = changed.with_columns(energy_consumption="state", known_at=pl.lit(known_at, UTC_HOUR))
    return rows.select(REVISIONS.names())


def _successors(changed: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """Rows for the next ingests that were implicitly in the state that has just been changed before them."""
    return (
        changed.filter(pl.col("next_at").is_not_null())
        .with_columns(energy_consumption="implicit", known_at="next_at")
        .join(stored, on=(*KEY, "known_at"), how="anti")
        .select(REVISIONS.names())
    )


def _counts(states: pl.DataFrame) -> IngestCounts:
    given, before = pl.col("given").is_not_null(), pl.col("value_before").is_not_null()
    conflicting = given & _differ("given", "state")
    counts = states.select(
        rows=given.sum(),
        new=(given & ~before & ~conflicting).sum(),
        revised=(given & before & ~conflicting & _differ("given", "value_before")).sum(),
        vanished=(pl.col("state").is_null() & pl.col("state_before").is_not_null()).sum(),
        conflicting=conflicting.sum(),
    )
    return IngestCounts(**counts.row(0, named=True))


def _differ(left: str, right: str) -> pl.Expr:
    """Whether two columns differ in any bit, a missing value being equal to itself only."""
    return pl.col(left).reinterpret(dtype=pl.Int64).ne_missing(pl.col(right).reinterpret(dtype=pl.Int64))
