"""What people are to be told of the alarms: each level once, and the clearing once; frames in, frames out."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import polars as pl

from forecast_core.alarms.schema import ALARMS, DUE, IDENTITY

CLEARED: Final = "cleared"
_GONE: Final = "the check that had raised it was made again, and raises it no more"

Row = Mapping[str, Any]


def with_notices(alarms: pl.DataFrame, told: pl.DataFrame) -> pl.DataFrame:
    """Return ALARMS: ``alarms`` with the time at which people were last told of each while it was open."""
    rows = told.filter(pl.col("notice") != CLEARED).select(*IDENTITY, "notified_at")
    pairs = alarms.join(rows, on=IDENTITY).filter(
        pl.col("notified_at") >= pl.col("opened_at"),
        pl.col("cleared_at").is_null() | (pl.col("notified_at") <= pl.col("cleared_at")),
    )
    key = (*IDENTITY, "opened_at")
    latest = pairs.group_by(key).agg(pl.col("notified_at").max())
    return alarms.join(latest, on=key, how="left").select(ALARMS.names())


def outstanding(told: pl.DataFrame) -> pl.DataFrame:
    """Return the last of NOTICES about each subject, of those subjects whose clearing has not been told since."""
    # Of notices that were sent together, that of the alarm which opened last is the last word.
    order = told.sort("notified_at", "opened_at", pl.col("notice") == CLEARED)
    last = order.group_by(IDENTITY, maintain_order=True).last()
    return last.filter(pl.col("notice") != CLEARED).select(told.columns)


def due(alarms: pl.DataFrame, told: pl.DataFrame) -> pl.DataFrame:
    """Return DUE.

    Args:
        alarms: ALARMS that are open, and those that cleared since the first of ``outstanding(told)`` was sent.
        told: All NOTICES about their feature views.
    """
    by_subject: dict[tuple[Any, ...], list[Row]] = {}
    for row in told.iter_rows(named=True):
        by_subject.setdefault(_subject(row), []).append(row)
    rows = [
        {**alarm, "notice": alarm["level"] if alarm["cleared_at"] is None else CLEARED}
        for alarm in alarms.iter_rows(named=True)
        if _is_due(alarm, by_subject.get(_subject(alarm), ()))
    ]
    rows += [_gone(notice) for notice in outstanding(told).iter_rows(named=True) if not _has_alarm(notice, alarms)]
    return pl.DataFrame(rows, schema=DUE)


def _subject(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in IDENTITY)


def _is_due(alarm: Row, told: Iterable[Row]) -> bool:
    levels = {row["notice"] for row in told if row["notice"] != CLEARED and _is_of(row, alarm)}
    if alarm["cleared_at"] is not None:
        over = any(row["notice"] == CLEARED and _within(row["opened_at"], alarm) for row in told)
        # Nobody who was not told that it opened needs to know that it is over.
        return bool(levels) and not over
    return "tune" not in levels and not (alarm["level"] == "notify" and "notify" in levels)


def _is_of(notice: Row, alarm: Row) -> bool:
    """Whether a notice of a level was sent while the alarm was open, whenever the alarm was thought to have opened."""
    over = alarm["cleared_at"]
    return bool(notice["notified_at"] >= alarm["opened_at"] and (over is None or notice["opened_at"] < over))


def _within(time: datetime, alarm: Row) -> bool:
    over = alarm["cleared_at"]
    return bool(time >= alarm["opened_at"] and (over is None or time < over))


def _has_alarm(notice: Row, alarms: pl.DataFrame) -> bool:
    """Whether there is an alarm that the notice was of, or another one that is open."""
    same = alarms.filter(*(pl.col(name) == notice[name] for name in IDENTITY))
    return any(alarm["cleared_at"] is None or _is_of(notice, alarm) for alarm in same.iter_rows(named=True))


def _gone(notice: Row) -> dict[str, Any]:
    """Return what is due of an alarm that people were told of and that the checks do not show any more."""
    facts = {name: notice[name] for name in (*IDENTITY, "opened_at", "notified_at")}
    return {**facts, "level": notice["notice"], "message": _GONE, "notice": CLEARED}
