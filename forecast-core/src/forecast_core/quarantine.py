"""Quarantine: rows that fail a validation rule, with the reason, and the values that a person has accepted.

A write replaces the findings of one run: a dataset, feature group version, reference time and window. An acceptance
is for one value (or, with null hour and value, for a whole series) and one rule. It holds for every later run of the
system, whatever its reference time: the run that was stopped passes when it is repeated.
"""

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
SUBJECT: Final = (*OBSERVATIONS, "expectation")
"""The columns that name what is accepted: one value of one series and hour, for one rule; null equals null."""

FINDINGS: Final = Frame(
    {**OBSERVATIONS, "expectation": pl.String(), "severity": pl.String(), "reason": pl.String()},
    nullable=OBSERVATIONS.names(),
    meaning={
        **OBSERVATIONS.meaning,
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
        "note": pl.String(),
        "accepted_at": UTC_HOUR,
    },
    key=(*GROUP, *SUBJECT),
    nullable=OBSERVATIONS.names(),
    meaning={
        **meaning("dataset", "feature_group_version"),
        **{name: FINDINGS.meaning[name] for name in SUBJECT},
        "note": "why the values are right",
        "accepted_at": "when a person decided, UTC",
    },
)
"""Values that a person has accepted, each for one validation rule."""

_DATE: Final = "known_date"

_FINDINGS, _ACCEPTED = TABLES = (
    dated("quarantine", QUARANTINE, by="known_at", date_column=_DATE),
    Declaration(name="quarantine_accepted", frame=ACCEPTED, dated_by="accepted_at"),
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
        accepted = self._accepted.collect(lambda rows: rows.select(*GROUP, *SUBJECT).unique())
        marked = found.join(
            accepted.with_columns(accepted=pl.lit(value=True)), on=(*GROUP, *SUBJECT), how="left", nulls_equal=True
        ).with_columns(pl.col("accepted").fill_null(value=False))
        rows = marked.filter(~pl.col("accepted")) if pending else marked
        return rows.sort("known_at", "window_start", *GROUP, *reversed(SUBJECT))

    def remove(self, *, dataset: str, feature_group_version: int, reference_datetime: datetime) -> int:
        """Remove the findings of the runs at a reference time; return how many there were. What was accepted stays."""
        moment = as_utc(reference_datetime)
        group = _group(dataset, feature_group_version)
        return keyed.remove(self._findings, key={_DATE: moment.date(), **group, "known_at": moment})

    def accept(self, rows: pl.DataFrame, *, note: str, accepted_at: datetime) -> int:
        """Record that a person accepts rows of the quarantine; earlier acceptances stay as they were.

        Args:
            rows: Rows as ``read`` returns them.
            note: Why they are right.
            accepted_at: When the person decided.

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
        subjects = rows.select(*GROUP, *SUBJECT).unique(maintain_order=True)
        given = subjects.with_columns(
            note=pl.lit(note.strip()), accepted_at=pl.lit(as_utc(accepted_at), dtype=UTC_HOUR)
        )

        def plan(snapshot: Snapshot) -> tuple[int, Change | None]:
            stored = snapshot.rows.select(*GROUP, *SUBJECT).collect()
            added = given.join(stored, on=(*GROUP, *SUBJECT), how="anti", nulls_equal=True)
            return added.height, None if added.is_empty() else Change(added)

        return self._accepted.commit(plan)

    def accepted(self, *, dataset: str, feature_group_version: int) -> pl.DataFrame:
        """Return ACCEPTED of a feature group, sorted."""
        conditions = [pl.col(name) == value for name, value in _group(dataset, feature_group_version).items()]
        return self._accepted.collect(lambda rows: rows.filter(*conditions)).sort(*SUBJECT)


def without_accepted(findings: pl.DataFrame, accepted: pl.DataFrame) -> pl.DataFrame:
    """Return the FINDINGS that are not among ACCEPTED."""
    return findings.join(accepted.select(SUBJECT), on=SUBJECT, how="anti", nulls_equal=True)


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
