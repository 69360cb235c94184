"""Turn monitoring metrics into alarm checks: rows of ``alarms.CHECKS``."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import polars as pl

from batch_prediction_pipeline.monitoring import drift, scoring
from forecast_core.alarms import CHECKS, OVERALL
from forecast_core.contracts.schema import SERIES
from forecast_core.contracts.settings import Settings

LEAST_HOURS: Final = 72
"""Different observed hours without which a week's figures are not judged: three days of forecasts."""

NOMINAL: Final = 0.8
"""Share of the values that the 80 % intervals should cover."""


@dataclass(frozen=True)
class Check:
    """One value against its thresholds (notify, tune). A value of None passes none: there was nothing to judge."""

    kind: str
    value: float | None
    thresholds: tuple[float, ...]
    message: str
    subject: str = OVERALL

    @property
    def level(self) -> str:
        """``ok``, ``notify`` from the first threshold on, ``tune`` from the second."""
        passed = 0 if self.value is None else sum(self.value >= threshold for threshold in self.thresholds)
        return ("ok", "notify", "tune")[passed]

    @property
    def threshold(self) -> float:
        """The threshold that was passed, or the first one."""
        return self.thresholds[1] if self.level == "tune" else self.thresholds[0]


def frame(checks: list[Check], *, reference_datetime: datetime, feature_view_version: int, source: str) -> pl.DataFrame:
    """Return ``alarms.CHECKS`` of one evaluation; a series has a row only if its check fires."""
    kept = [each for each in checks if each.subject == OVERALL or each.level != "ok"]
    rows = [
        (
            *(reference_datetime, feature_view_version, source, each.kind, each.subject, each.level),
            *(each.value, each.threshold, each.message),
        )
        for each in kept
    ]
    return pl.DataFrame(rows, schema=CHECKS, orient="row")


def of_scores(by_series: pl.DataFrame, figures: Mapping[str, Any], settings: Settings) -> Iterator[Check]:
    """Check the errors and intervals of the last 7 days, over all series and of each, and 30 days of errors for drift.

    Args:
        by_series: ``scoring.totals`` by hour and series of the last 30 days.
        figures: The figures of 7 days over all series, as ``scoring.overall`` gives them.
        settings: The thresholds.
    """
    week = scoring.recent(by_series, days=7)
    enough = week["datetime_utc"].n_unique() >= LEAST_HOURS
    yield from _week(figures, settings, enough=enough)
    if enough:
        yield from _series(week, settings)
    signal = drift.tracking_signal(by_series)
    side = "high" if (signal or 0) > 0 else "low"
    yield Check(
        "error_drift",
        None if signal is None else abs(signal),
        settings.alarm_error_drift,
        f"forecasts have been too {side} day after day: the tracking signal is {signal or 0:+.2f}",
    )


def _week(figures: Mapping[str, Any], settings: Settings, *, enough: bool) -> Iterator[Check]:
    """Check the figures of 7 days over all series; with too few hours behind them, their values are None."""
    relative, backtest = figures["relative_mae"], figures["backtest_relative_mae"]
    coverage = figures["coverage_80"]
    yield Check(
        "skill",
        relative if enough else None,
        settings.alarm_skill,
        f"the MAE of the last 7 days is {_share(relative)} of the seasonal naive forecast's: {_size(figures)}",
    )
    yield Check(
        "backtest",
        _over(relative, backtest) if enough else None,
        settings.alarm_backtest,
        f"the MAE of the last 7 days is {_share(relative)} of the seasonal naive forecast's; it was {_share(backtest)} "
        "in the models' backtests",
    )
    yield Check(
        "coverage",
        _distance(coverage) if enough else None,
        settings.alarm_coverage,
        f"the 80 % intervals of the last 7 days contain {_share(coverage)} of the values",
    )


def _series(week: pl.DataFrame, settings: Settings) -> Iterator[Check]:
    measured = scoring.figures(scoring.summed(week, SERIES)).filter(pl.col("relative_mae").is_not_null())
    for row in measured.iter_rows(named=True):
        yield Check(
            "skill",
            row["relative_mae"],
            (settings.alarm_series,),
            f"the MAE of its last 7 days is {row['mae']:,.0f} kWh, {_share(row['relative_mae'])} of the seasonal naive "
            "forecast's",
            f"{row['area']}/{row['consumer_type']}",
        )


def of_inputs(known: pl.DataFrame, settings: Settings, *, end: datetime) -> Iterator[Check]:
    """Check whether the mean of each series in the week before ``end`` is within the limits of the training data.

    Args:
        known: ``schema.OBSERVATIONS`` of the training dataset and of the week.
        settings: The thresholds.
        end: The hour after the newest observed one.
    """
    parts = drift.parts(known, end=end)
    if parts is None:
        yield Check(
            "input_drift",
            None,
            settings.alarm_input_drift,
            "the training data have too few days before the newest week",
        )
        return
    change = drift.level_change(*parts)
    left = change.filter(pl.col("change").abs() >= drift.LIMIT).sort(pl.col("change").abs(), descending=True)
    worst = ", ".join(f"{area}/{kind} {value:+.1f}" for area, kind, value in left.head(3).iter_rows())
    share = left.height / change.height if change.height else None
    yield Check(
        "input_drift",
        share,
        settings.alarm_input_drift,
        f"the mean of the newest week is outside the three-sigma limits of the training dataset for {left.height} of "
        f"{change.height} series{': ' + worst if worst else ''}",
    )


def of_quality(newest: pl.DataFrame, settings: Settings) -> Iterator[Check]:
    """Check the share of the newest run's forecasts that are fallbacks.

    Args:
        newest: ``schema.FORECASTS`` of one run, or none.
        settings: The threshold.
    """
    fallback = newest.filter(pl.col("quality").cast(pl.String).str.starts_with("fallback"))
    share = fallback.height / newest.height if newest.height else None
    reasons = fallback["quality"].value_counts().sort("count", descending=True).head(3).rows()
    named = ", ".join(f"{count} {reason.removeprefix('fallback: ')}" for reason, count in reasons)
    yield Check(
        "fallback",
        share,
        (settings.alarm_fallback,),
        f"{fallback.height} of {newest.height} forecasts of the newest run are fallbacks"
        + (f": {named}" if named else ""),
    )


def _over(value: float | None, other: float | None) -> float | None:
    return None if value is None or not other else value / other


def _distance(coverage: float | None) -> float | None:
    # Rounded, so that 1 is 0.2 away from 0.8.
    return None if coverage is None else round(abs(coverage - NOMINAL), 9)


def _share(value: float | None) -> str:
    return "an unknown share" if value is None else f"{value:.0%}"


def _size(figures: Mapping[str, Any]) -> str:
    wape, naive = figures["wape"], figures["naive_wape"]
    return "nothing to compare" if wape is None or naive is None else f"WAPE {wape:.4f} against {naive:.4f}"
