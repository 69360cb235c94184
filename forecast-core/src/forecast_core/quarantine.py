"""Quarantine: rows that fail a validation rule, with the reason, and the values that a person has accepted.

A write replaces the findings of one run: a dataset, feature group version, reference time and window. An acceptance
is for one rule, and for one value or, with null hour and value, for a whole series (of rule ``factor``: for one factor
of it). It holds for every run, whatever its reference time, so that the run that was stopped passes when it is
repeated. Acceptances that ``hold on`` do so from the reference time ``known_from`` on: earlier runs stay as they were.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import polars as pl

from forecast_core.contracts.errors import InvalidArgument, NotFoundError
from forecast_core.contracts.schema import OBSERVATIONS, UTC_HOUR, Frame, meaning
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT, as_utc
from forecast_core.tables import checks, keyed
from forecast_core.tables.declaration import Declaration, dated
from forecast_core.tables.delta import Change, Snapshot

GROUP: Final = ("dataset", "feature_group_version")
SUBJECT: Final = (*OBSERVATIONS, "factor", "expectation")
"""The columns that name what is accepted: one value of one series and hour, for one rule; null equals null."""
_OF_HOUR: Final = ("datetime_utc", "energy_consumption")

FINDINGS: Final = Frame(
    {
        **OBSERVATIONS,
        "factor": pl.Float64(),
        "expectation": pl.String(),
        "severity": pl.String(),
        "reason": pl.String(),
    },
    nullable=(*OBSERVATIONS.names(), "factor"),
    meaning={
        **OBSERVATIONS.meaning,
        "factor": "constant by which the known hours of a series come again, of rule ``factor`` only",
        "expectation": "validation rule that the row fails",
        "severity": "``error`` (the run stops) or ``warning``",
        "reason": "why it fails, in words",
    },
)
"""Rows that fail a validation rule. A finding about a whole series has neither hour nor value."""

QUARANTINE: Final = Frame(
    {
        "dataset": pl.String(),
        "feature_group_version": pl.Int64(),
        "known_at": UTC_HOUR,
        "window_start": UTC_HOUR,
        **FINDINGS,
    },
    nullable=tuple(FINDINGS.nullable),
    meaning={**meaning("dataset", "feature_group_version", "known_at", "window_start"), **FINDINGS.meaning},
)
"""The findings of each run of the feature pipeline."""

ACCEPTED: Final = Frame(
    {
        "dataset": pl.String(),
        "feature_group_version": pl.Int64(),
        **{name: FINDINGS[name] for name in SUBJECT},
        "known_from": UTC_HOUR,
        "note": pl.String(),
        "accepted_at": UTC_HOUR,
    },
    key=(*GROUP, *SUBJECT, "known_from"),
    nullable=(*OBSERVATIONS.names(), "factor", "known_from"),
    meaning={
        **meaning("dataset", "feature_group_version"),
        **{name: FINDINGS.meaning[name] for name in SUBJECT},
        "known_from": "reference time from which on the acceptance holds for a whole series; null: in every run",
        "note": "why the values are right",
        "accepted_at": "when a person decided, UTC",
    },
)
"""Values that a person has accepted, each for one validation rule."""

_DATE: Final = "known_date"


def _with_factor(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Make rows of format 3: with a factor, acceptances with a ``known_from``, and with a rule ``negative``.

    In format 2, negative values failed the rule ``range``.
    """
    names = rows.collect_schema().names()
    if "factor" in names:
        return rows
    added = {"factor": pl.lit(None, pl.Float64)}
    if "accepted_at" in names:
        added["known_from"] = pl.lit(None, UTC_HOUR)
    below = (pl.col("expectation") == "range") & (pl.col("energy_consumption") < 0)
    return rows.with_columns(**added, expectation=pl.when(below).then(pl.lit("negative")).otherwise("expectation"))


_FINDINGS, _ACCEPTED = TABLES = (
    dated("quarantine", QUARANTINE, by="known_at", date_column=_DATE, upgrades=(_with_factor,)),
    Declaration(name="quarantine_accepted", frame=ACCEPTED, dated_by="accepted_at", upgrades=(_with_factor,)),
)
"""The tables of the quarantine."""


class Quarantine:
    """Delta tables ``quarantine`` and ``quarantine_accepted`` under ``settings.store``.

    All methods raise ``StorageError`` when the store cannot be read or written now.
    """

    def __init__(self, settings: Settings) -> None:
        self._findings = _FINDINGS.table(settings)
        self._accepted = _ACCEPTED.table(settings)

    def write(
        self,
        findings: pl.DataFrame,
        *,
        dataset: str,
        feature_group_version: int,
        reference_datetime: datetime,
        window_start: datetime,
    ) -> int:
        """Store a run's findings in place of those that it stored before; the same again commits nothing.

        Args:
            findings: FINDINGS, possibly none.
            dataset: Name of the source's dataset.
            feature_group_version: With the dataset, names the feature group.
            reference_datetime: Reference time of the run.
            window_start: First hour of the run's window: a long history is loaded in several, all of one time.

        Returns:
            The number of rows.

        Raises:
            InvalidArgument: If the frame is not exactly FINDINGS.
        """
        if dict(findings.schema) != dict(FINDINGS):
            raise InvalidArgument(f"expected the columns {dict(FINDINGS)}, got {dict(findings.schema)}")
        moment = as_utc(reference_datetime)
        key: dict[str, keyed.Value] = {
            _DATE: moment.date(),
            **_group(dataset, feature_group_version),
            "known_at": moment,
            "window_start": as_utc(window_start),
        }
        if findings.is_empty() and self._findings.snapshot() is None:
            return 0
        keyed.replace(
            self._findings, findings.with_columns(_literals(key)).select(self._findings.schema.names()), key=key
        )
        return findings.height

    def read(
        self,
        *,
        dataset: str | None = None,
        feature_group_version: int | None = None,
        reference_datetime: datetime | None = None,
        pending: bool = False,
    ) -> pl.DataFrame:
        """Return QUARANTINE with a column ``accepted`` (whether a person has), sorted by run, expectation and key.

        Args:
            dataset: Only findings about this dataset.
            feature_group_version: Only findings about this version of the feature group.
            reference_datetime: Only findings of the run at this reference time.
            pending: Only findings that nobody has accepted.
        """
        wanted = {"dataset": dataset, "feature_group_version": feature_group_version}
        conditions = [pl.col(name) == value for name, value in wanted.items() if value is not None]
        if reference_datetime is not None:
            moment = as_utc(reference_datetime)
            conditions += [pl.col(_DATE) == moment.date(), pl.col("known_at") == moment]
        found = self._findings.collect(lambda rows: rows.filter(*conditions).select(QUARANTINE.names()))
        accepted = self._accepted.collect(lambda rows: rows.select(*GROUP, *SUBJECT, "known_from"))
        marked = found.with_columns(_accepted_by(found, accepted, on=(*GROUP, *SUBJECT)))
        rows = marked.filter(~pl.col("accepted")) if pending else marked
        return rows.sort("known_at", "window_start", *GROUP, *reversed(SUBJECT))

    def remove(self, *, dataset: str, feature_group_version: int, reference_datetime: datetime) -> int:
        """Remove the findings of the runs at a reference time; return how many there were. What was accepted stays."""
        moment = as_utc(reference_datetime)
        group = _group(dataset, feature_group_version)
        return keyed.remove(self._findings, key={_DATE: moment.date(), **group, "known_at": moment})

    def accept(self, rows: pl.DataFrame, *, note: str, accepted_at: datetime, holds_on: bool = False) -> int:
        """Record that a person accepts rows of the quarantine; earlier acceptances stay as they were.

        Args:
            rows: Rows as ``read`` returns them.
            note: Why they are right.
            accepted_at: When the person decided.
            holds_on: Accept, for the rules of the rows, all values of their series from the earliest reference time of
                the rows on, and not just the values of the rows.

        Returns:
            The number of acceptances that are new.

        Raises:
            InvalidArgument: If there is no note.
            NotFoundError: If there are no rows.
        """
        if not note.strip():
            raise InvalidArgument("an acceptance needs a note that says why the values are right", argument="note")
        if rows.is_empty():
            raise NotFoundError(
                "the quarantine has no such rows: `python -m feature_pipeline quarantine list` shows all"
            )
        if holds_on:
            subjects = (
                _whole_series(rows)
                .group_by(*GROUP, *SUBJECT, maintain_order=True)
                .agg(known_from=pl.col("known_at").min())
            )
        else:
            subjects = rows.select(*GROUP, *SUBJECT, pl.lit(None, UTC_HOUR).alias("known_from"))
            subjects = subjects.unique(maintain_order=True)
        given = subjects.with_columns(
            note=pl.lit(note.strip()), accepted_at=pl.lit(as_utc(accepted_at), dtype=UTC_HOUR)
        )

        def plan(snapshot: Snapshot) -> tuple[int, Change | None]:
            stored = snapshot.rows.select(ACCEPTED.key).collect()
            added = given.join(stored, on=ACCEPTED.key, how="anti", nulls_equal=True)
            return added.height, None if added.is_empty() else Change(added)

        return self._accepted.commit(plan)

    def accepted(
        self, *, dataset: str, feature_group_version: int, reference_datetime: datetime | None = None
    ) -> pl.DataFrame:
        """Return ACCEPTED of a feature group, sorted; with a reference time, those that hold for its run."""
        conditions = [pl.col(name) == value for name, value in _group(dataset, feature_group_version).items()]
        if reference_datetime is not None:
            begun = pl.col("known_from") <= as_utc(reference_datetime)
            conditions.append(begun.fill_null(value=True))
        found = self._accepted.collect(lambda rows: rows.filter(*conditions).select(ACCEPTED.names()))
        return found.sort(*SUBJECT, "known_from")


def is_accepted(subjects: pl.DataFrame, accepted: pl.DataFrame) -> pl.Series:
    """Return, for each row of SUBJECT (and more columns), whether one of ACCEPTED, which all hold, is about it."""
    return _accepted_by(subjects, accepted.with_columns(pl.lit(None, UTC_HOUR).alias("known_from")), on=SUBJECT)


def _accepted_by(findings: pl.DataFrame, accepted: pl.DataFrame, *, on: Sequence[str]) -> pl.Series:
    """Return, for each finding, whether its value is accepted, or from its ``known_at`` on its whole series."""
    since = accepted.group_by(on).agg(
        accepted=pl.lit(value=True), known_from=pl.col("known_from").min(), ever=pl.col("known_from").is_null().any()
    )
    alone = findings.join(since, on=on, how="left", nulls_equal=True, maintain_order="left")
    series = _whole_series(findings).join(since, on=on, how="left", nulls_equal=True, maintain_order="left")
    holds = pl.col("ever")
    if "known_at" in findings.columns:
        holds |= pl.col("known_from") <= pl.col("known_at")
    answers = [each.select(holds.fill_null(value=False)).to_series() for each in (alone, series)]
    return (answers[0] | answers[1]).alias("accepted")


def _whole_series(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.lit(None, dtype=OBSERVATIONS[name]).alias(name) for name in _OF_HOUR)


def describe(row: dict[str, object]) -> str:
    """Return a row of FINDINGS on one line.

    >>> describe({"area": "DK1", "consumer_type": "111", "datetime_utc": None, "energy_consumption": None})
    'DK1/111'

    Seconds are shown where there are any, because a time may be wrong by them only.
    """
    hour, value = row["datetime_utc"], row["energy_consumption"]
    if hour is None and value is None:
        return f"{row['area']}/{row['consumer_type']}"
    at = _shown(hour) if isinstance(hour, datetime) else "no time"
    return f"{row['area']}/{row['consumer_type']} at {at} = {value}"


def _shown(hour: datetime) -> str:
    """Return an hour in UTC, to the second or less where it is no full minute.

    >>> _shown(datetime(2024, 3, 10, 23, 0)), _shown(datetime(2024, 3, 10, 23, 0, 45))
    ('2024-03-10 23:00', '2024-03-10 23:00:45')
    """
    if hour.second or hour.microsecond:
        return hour.replace(tzinfo=None).isoformat(" ")
    return f"{hour:{DATETIME_FORMAT}}"


def _group(dataset: str, feature_group_version: int) -> dict[str, keyed.Value]:
    version = checks.version_number("feature_group_version", feature_group_version)
    return {"dataset": checks.dataset_name(dataset), "feature_group_version": version}


def _literals(key: dict[str, keyed.Value]) -> list[pl.Expr]:
    types = {**QUARANTINE, _DATE: pl.Date()}
    return [pl.lit(value, dtype=types[name]).alias(name) for name, value in key.items()]
