"""Alarms: what was found wrong at each reference time, since when, and whether anybody was told.

Kept are checks: every evaluation stores, for each kind that it looked at, how that stood. Alarms are derived from
them, as of any reference time: an alarm opens with the first check that fires and clears with a later one that does
not. So evaluations may come in any order, or twice, and the alarms are the same.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import polars as pl

from forecast_core.contracts.arguments import moment
from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.schema import UTC_HOUR, Frame, meaning
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import as_utc
from forecast_core.tables import checks, keyed
from forecast_core.tables.declaration import Declaration, dated
from forecast_core.tables.delta import Change, Snapshot

Source = Literal["monitoring", "watch"]
"""Who looks: monitoring at each run's reference time, for what is there; the watch by the clock, for what is not."""

_IDENTITY: Final = ("feature_view_version", "source", "kind", "subject")

OVERALL: Final = "overall"
"""The subject of a check that is about no single series. Every evaluation has such a check of each of its kinds."""

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
    key=("reference_datetime", *_IDENTITY),
    nullable=("value",),
    meaning={
        **meaning("reference_datetime", "feature_view_version"),
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
it was last told of, null if never.
"""

NOTICES: Final = Frame(
    {
        **{name: ALARMS[name] for name in ("feature_view_version", "source", "kind", "subject", "opened_at")},
        "notice": pl.String(),
        "notified_at": UTC_HOUR,
    },
    key=(*_IDENTITY, "opened_at", "notice"),
    meaning={
        **{name: CHECKS.meaning[name] for name in _IDENTITY},
        "opened_at": "reference time of the check that opened the alarm, UTC",
        "notice": "level that the alarm had reached, or ``cleared``",
        "notified_at": "when it was sent, UTC",
    },
)
"""Notices that were sent."""

KEEP_FIRING: Final[dict[str, timedelta]] = {"monitoring": timedelta(hours=6), "watch": timedelta(0)}
"""An alarm clears only after this time without firing, so that a value at its threshold does not call every hour.

As ``keep_firing_for`` of Prometheus' alerting rules.
"""

_ORDER: Final = {"ok": 0, "notify": 1, "tune": 2}
_DATE: Final = "reference_date"
_INSTANT: Final = timedelta(microseconds=1)

_CHECKS, _NOTICES = TABLES = (
    dated("alarms", CHECKS, by="reference_datetime", date_column=_DATE),
    Declaration(name="alarm_notices", frame=NOTICES, dated_by="notified_at"),
)
"""The tables of the alarms."""


class Alarms:
    """Delta tables ``alarms`` (the checks) and ``alarm_notices`` under ``settings.store``.

    All methods raise ``StorageError`` when the store cannot be read or written now.
    """

    def __init__(self, settings: Settings) -> None:
        self._checks = _CHECKS.table(settings)
        self._notices = _NOTICES.table(settings)

    def write(self, frame: pl.DataFrame) -> int:
        """Store one evaluation, in place of what it stored before; the same again commits nothing.

        Args:
            frame: CHECKS with at least one row, all of one feature view version, reference time and source.

        Returns:
            The number of rows.

        Raises:
            InvalidArgument: If the frame is not exactly that, or a subject of a kind comes twice.
        """
        frame = checks.strict_frame(frame, CHECKS)
        evaluations = frame.select("feature_view_version", "reference_datetime", "source").unique()
        if evaluations.height != 1:
            raise InvalidArgument(f"expected the checks of exactly one evaluation, got those of {evaluations.rows()}")
        version, reference, source = evaluations.row(0)
        key = {_DATE: reference.date(), "feature_view_version": version, "reference_datetime": reference}
        dated = frame.with_columns(pl.col("reference_datetime").dt.date().alias(_DATE))
        keyed.replace(self._checks, dated, key={**key, "source": source})
        return frame.height

    def read_checks(
        self,
        *,
        feature_view_version: int | None = None,
        reference_from: datetime | None = None,
        as_of: datetime | None = None,
    ) -> pl.DataFrame:
        """Return CHECKS with reference times from ``reference_from`` to ``as_of``, both included, sorted."""
        reference, date = pl.col("reference_datetime"), pl.col(_DATE)
        conditions = [] if feature_view_version is None else [pl.col("feature_view_version") == feature_view_version]
        if reference_from is not None:
            conditions += [date >= as_utc(reference_from).date(), reference >= as_utc(reference_from)]
        if as_of is not None:
            conditions += [date <= as_utc(as_of).date(), reference <= as_utc(as_of)]
        frame = self._checks.collect(lambda rows: rows.filter(*conditions).select(CHECKS.names()))
        return frame.sort("reference_datetime", *_IDENTITY)

    def read(
        self, *, feature_view_version: int | None = None, as_of: datetime | None = None, only_open: bool = False
    ) -> pl.DataFrame:
        """Return ALARMS, open ones first, then the latest opened first.

        Args:
            feature_view_version: The feature view that they are about; default that of the newest evaluation: what
                nobody looks after any more is no alarm.
            as_of: What was known at this reference time; default everything.
            only_open: Whether to leave out those that have cleared.
        """
        found = self.read_checks(feature_view_version=feature_view_version, as_of=as_of)
        if feature_view_version is None and not found.is_empty():
            found = found.filter(pl.col("feature_view_version") == found["feature_view_version"][-1])
        told = self._notices.collect(lambda rows: rows)
        if as_of is not None:
            told = told.filter(pl.col("notified_at") <= as_utc(as_of))
        alarms = _with_notices(derive(found), told)
        alarms = alarms.filter(pl.col("cleared_at").is_null()) if only_open else alarms
        return alarms.sort(
            pl.col("cleared_at").is_null(), "opened_at", *_IDENTITY, descending=[True, True] + [False] * len(_IDENTITY)
        )

    def due(self) -> pl.DataFrame:
        """Return what is to be told now: ALARMS with a column ``notice``, each level once, and the clearing once."""
        alarms = self.read()
        told = self._notices.collect(lambda rows: rows)
        due = [row | {"notice": _notice(row)} for row in alarms.iter_rows(named=True)]
        known = {(*(row[name] for name in _IDENTITY), row["notice"]): row["notified_at"] for row in _latest(told)}
        wanted = [row for row in due if _is_due(row, known)]
        return pl.DataFrame(wanted, schema={**ALARMS, "notice": pl.String()})

    def mark_told(self, due: pl.DataFrame, *, at: datetime) -> int:
        """Record that rows of ``due`` were told at a time; return how many of them are new."""
        told_at = pl.lit(as_utc(at), dtype=UTC_HOUR).alias("notified_at")
        given = due.with_columns(told_at).select(NOTICES.names())
        key = [name for name in NOTICES.names() if name != "notified_at"]

        def plan(snapshot: Snapshot) -> tuple[int, Change | None]:
            stored = snapshot.rows.select(key).collect()
            added = given.join(stored, on=key, how="anti")
            return added.height, None if added.is_empty() else Change(added)

        return 0 if given.is_empty() else self._notices.commit(plan)


def derive(found: pl.DataFrame) -> pl.DataFrame:
    """Return ALARMS, without ``notified_at``, of CHECKS: each maximal stretch in which a subject keeps firing.

    A stretch ends with the first evaluation of its kind at least ``KEEP_FIRING`` after its last firing.
    """
    evaluated = found.select("feature_view_version", "source", "kind", clear="reference_datetime").unique()
    firing = found.filter(pl.col("level") != "ok").with_columns(
        after=pl.col("reference_datetime")
        + pl.max_horizontal(pl.col("source").replace_strict(KEEP_FIRING, return_dtype=pl.Duration("us")), _INSTANT)
    )
    marked = (
        firing.sort("after")
        .join_asof(
            evaluated.sort("clear"),
            left_on="after",
            right_on="clear",
            by=["feature_view_version", "source", "kind"],
            strategy="forward",
            check_sortedness=False,
        )
        .sort(*_IDENTITY, "reference_datetime")
        .with_columns(next=pl.col("reference_datetime").shift(-1).over(_IDENTITY))
        .with_columns(
            ends=(pl.col("clear") < pl.col("next")).fill_null(pl.col("clear").is_not_null()),
            rank=pl.col("level").replace_strict(_ORDER, return_dtype=pl.Int64),
        )
        .with_columns(stretch=pl.col("ends").shift(1, fill_value=False).cum_sum().over(_IDENTITY))
    )
    alarms = marked.group_by(*_IDENTITY, "stretch", maintain_order=True).agg(
        level=pl.col("level").get(pl.col("rank").arg_max()),
        opened_at=pl.col("reference_datetime").first(),
        tune_at=pl.col("reference_datetime").filter(pl.col("level") == "tune").first(),
        last_at=pl.col("reference_datetime").last(),
        cleared_at=pl.when(pl.col("ends").last()).then(pl.col("clear").last()),
        value=pl.col("value").last(),
        threshold=pl.col("threshold").last(),
        message=pl.col("message").last(),
    )
    return alarms.select(name for name in ALARMS.names() if name != "notified_at")


def _with_notices(alarms: pl.DataFrame, told: pl.DataFrame) -> pl.DataFrame:
    """Add when each alarm was last told of; a notice is of the alarm that was open then, whenever that opened."""
    rows = told.filter(pl.col("notice") != "cleared").select(*_IDENTITY, "notified_at")
    pairs = alarms.join(rows, on=_IDENTITY).filter(
        pl.col("notified_at") >= pl.col("opened_at"),
        pl.col("cleared_at").is_null() | (pl.col("notified_at") <= pl.col("cleared_at")),
    )
    key = (*_IDENTITY, "opened_at")
    latest = pairs.group_by(key).agg(pl.col("notified_at").max())
    return alarms.join(latest, on=key, how="left").select(ALARMS.names())


def _latest(told: pl.DataFrame) -> Sequence[dict[str, Any]]:
    return told.sort("notified_at").to_dicts()


def _notice(alarm: dict[str, Any]) -> str:
    return str(alarm["level"]) if alarm["cleared_at"] is None else "cleared"


def _is_due(alarm: dict[str, Any], known: dict[tuple[Any, ...], datetime]) -> bool:
    def told(notice: str) -> bool:
        at = known.get((*(alarm[name] for name in _IDENTITY), notice))
        return at is not None and at >= alarm["opened_at"]

    if alarm["cleared_at"] is not None:
        # Nobody who was not told that it opened needs to know that it is over.
        return (told("notify") or told("tune")) and not told("cleared")
    return not told("tune") and not (alarm["level"] == "notify" and told("notify"))


def tuning_is_due(settings: Settings, *, feature_view_version: int, reference_datetime: datetime | str) -> bool:
    """Whether a run at a reference time is the first after an evaluation at which an alarm began to ask for tuning.

    Raises:
        InvalidArgument: If the time cannot be read.
        StorageError: If the store cannot be read now.
    """
    before = moment("reference_datetime", reference_datetime) - _INSTANT
    found = Alarms(settings).read_checks(feature_view_version=feature_view_version, as_of=before)
    newest = found.filter(pl.col("source") == "monitoring")["reference_datetime"].max()
    return newest is not None and newest in derive(found)["tune_at"].to_list()
