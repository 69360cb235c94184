"""The tables of checks, alarms and notices."""

from datetime import timedelta
from typing import Final, Literal

import polars as pl

from forecast_core.contracts.schema import UTC_HOUR, Frame, meaning
from forecast_core.tables.declaration import Declaration, dated

Source = Literal["monitoring", "watch"]
"""Who evaluates: monitoring, at each run's reference time; the watch, by the clock, for what is missing."""

OVERALL: Final = "overall"
"""The subject of a check that is about no single series."""

IDENTITY: Final = ("feature_view_version", "source", "kind", "subject")
"""The columns that name what an alarm is about; at any time at most one alarm of each is open."""

EVALUATOR: Final = ("feature_view_version", "source")
"""The columns that name who evaluates: each evaluation judges all kinds of its source."""

CHECKS: Final = Frame(
    {
        "reference_datetime": UTC_HOUR,
        "feature_view_version": pl.Int64(),
        "source": pl.String(),
        "kind": pl.String(),
        "subject": pl.String(),
        "level": pl.String(),
        "value": pl.Float64(),
        "threshold": pl.Float64(),
        "message": pl.String(),
    },
    key=("reference_datetime", *IDENTITY),
    nullable=("value",),
    meaning={
        **meaning("reference_datetime"),
        "feature_view_version": "version of the feature view; 0 for checks of the DAG itself",
        "source": "who checked: ``monitoring`` or ``watch``",
        "kind": "kind of alarm",
        "subject": "``overall``, or a series such as ``DK1/111``; a series is kept only if it fires",
        "level": "``ok``, ``notify`` or ``tune``",
        "value": "value that was judged, in the unit of its kind; null where there was nothing to judge",
        "threshold": "threshold that was passed, or the first if none was; in the unit of ``value``",
        "message": "the check in words",
    },
)
"""Result of one check at a reference time."""

ALARMS: Final = pl.Schema(
    {
        "feature_view_version": pl.Int64(),
        "source": pl.String(),
        "kind": pl.String(),
        "subject": pl.String(),
        "level": pl.String(),
        "opened_at": UTC_HOUR,
        "tune_at": UTC_HOUR,
        "last_at": UTC_HOUR,
        "cleared_at": UTC_HOUR,
        "value": pl.Float64(),
        "threshold": pl.Float64(),
        "message": pl.String(),
        "notified_at": UTC_HOUR,
    }
)
"""One alarm: open while ``cleared_at`` is null.

``level`` is the highest that it reached (``notify`` or ``tune``), ``tune_at`` when it first asked for tuning,
``last_at`` the last time that it fired, with ``value``, ``threshold`` and ``message`` of then. ``notified_at`` is when
people were last told of it, null if never.
"""

DUE: Final = pl.Schema({**ALARMS, "notice": pl.String()})
"""An alarm that people are to be told of: ``notice`` is its level, or ``cleared``."""

NOTICES: Final = Frame(
    {
        **{name: ALARMS[name] for name in (*IDENTITY, "opened_at")},
        "notice": pl.String(),
        "notified_at": UTC_HOUR,
    },
    key=(*IDENTITY, "opened_at", "notice"),
    meaning={
        **{name: CHECKS.meaning[name] for name in IDENTITY},
        "opened_at": "reference time of the check that opened the alarm, UTC, as it was known when the notice was sent",
        "notice": "level that the alarm had reached, or ``cleared``",
        "notified_at": "when it was sent, UTC",
    },
)
"""Notices that were sent, exactly as they were sent."""

RETIRED: Final = Frame(
    {"feature_view_version": pl.Int64(), "retired_at": UTC_HOUR},
    key=("feature_view_version",),
    meaning={**meaning("feature_view_version"), "retired_at": "when it was retired, UTC"},
)
"""Feature views that nobody looks after any more."""

DATE: Final = "reference_date"
"""The partition column of the checks."""

CHECKS_TABLE, NOTICES_TABLE, RETIRED_TABLE = TABLES = (
    dated("alarms", CHECKS, by="reference_datetime", date_column=DATE),
    Declaration(name="alarm_notices", frame=NOTICES, dated_by="notified_at"),
    Declaration(name="retired_views", frame=RETIRED, dated_by="retired_at"),
)
"""The tables of the alarms."""

KEEP_FIRING: Final[dict[str, timedelta]] = {"monitoring": timedelta(hours=6), "watch": timedelta(0)}
"""An alarm clears only after this time without firing, so that a value at its threshold does not call every hour.

As ``keep_firing_for`` of Prometheus' alerting rules.
"""

INSTANT: Final = timedelta(microseconds=1)
"""The resolution of times in the tables."""
