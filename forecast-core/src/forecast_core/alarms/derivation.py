"""Derive alarms from checks, and see whether some days of checks are enough for it; frames in, frames out."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

import polars as pl

from forecast_core.alarms.schema import ALARMS, EVALUATOR, IDENTITY, INSTANT, KEEP_FIRING

_ORDER: Final = {"ok": 0, "notify": 1, "tune": 2}


def derive(checks: pl.DataFrame) -> pl.DataFrame:
    """Return ALARMS, without ``notified_at``: each maximal stretch of CHECKS in which a subject keeps firing.

    A stretch ends with the first evaluation of its feature view and source at least ``KEEP_FIRING`` after its last
    firing.
    """
    evaluated = checks.select(*EVALUATOR, clear="reference_datetime").unique()
    firing = checks.filter(pl.col("level") != "ok").with_columns(
        after=pl.col("reference_datetime")
        + pl.max_horizontal(pl.col("source").replace_strict(KEEP_FIRING, return_dtype=pl.Duration("us")), INSTANT)
    )
    marked = (
        firing.sort("after")
        .join_asof(
            evaluated.sort("clear"),
            left_on="after",
            right_on="clear",
            by=list(EVALUATOR),
            strategy="forward",
            check_sortedness=False,
        )
        .sort(*IDENTITY, "reference_datetime")
        .with_columns(next=pl.col("reference_datetime").shift(-1).over(IDENTITY))
        .with_columns(
            ends=(pl.col("clear") < pl.col("next")).fill_null(pl.col("clear").is_not_null()),
            rank=pl.col("level").replace_strict(_ORDER, return_dtype=pl.Int64),
        )
        .with_columns(stretch=pl.col("ends").shift(1, fill_value=False).cum_sum().over(IDENTITY))
    )
    alarms = marked.group_by(*IDENTITY, "stretch", maintain_order=True).agg(
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


def is_enough(
    checks: pl.DataFrame, *, start: datetime, since: datetime | None, older: Iterable[tuple[int, str]]
) -> bool:
    """Whether checks before ``start`` would not change which alarms are open, or cleared at ``since`` or later.

    The first evaluation at least ``KEEP_FIRING`` after ``start`` ends whatever fired only before it. What is left are
    stretches that fire up to that evaluation: they may have begun before.

    Args:
        checks: All CHECKS from ``start`` on.
        start: The time that they begin at.
        since: The alarms that cleared before it are of no interest; None: of interest are only the open ones.
        older: Feature view and source of each evaluator that may have checks before ``start``.
    """
    alarms = derive(checks)
    for view, source in older:
        own = pl.col("feature_view_version").eq(view) & pl.col("source").eq(source)
        settled = pl.col("reference_datetime") >= start + max(KEEP_FIRING[source], INSTANT)
        first: Any = checks.filter(own, settled)["reference_datetime"].min()
        wanted = pl.col("cleared_at").is_null()
        if since is not None:
            wanted = wanted | (pl.col("cleared_at") >= since)
        # Something that last fired before the start may have cleared as late as the first evaluation.
        if first is None or (since is not None and first >= since):
            return False
        if not alarms.filter(own, wanted, pl.col("opened_at") <= first).is_empty():
            return False
    return True
