"""Forecasts of other forecasters (peers), in the format that the referee reads.

    python forecast.py PEER --history HISTORY.parquet --cutoffs 2023-01-15T15:00 … [--days 30] --out FORECASTS.parquet

The history has the columns unique_id, ds (naive UTC, hourly) and y. For each cutoff (last observed hour) a peer sees
the last ``--days`` days up to it (0: everything) and forecasts the 24 hours after it: unique_id, cutoff, ds, yhat and,
where the peer has intervals, q05, q10, q50, q90, q95. The CPU seconds of each cutoff go to stdout as JSON.
"""

import argparse
import json
import resource
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HOURS = 24
QUANTILES = {"q05": ("lo", 90), "q10": ("lo", 80), "q90": ("hi", 80), "q95": ("hi", 90)}
TREES: dict[str, Any] = {
    "n_estimators": 300,
    "learning_rate": 0.05,
    "num_leaves": 63,
    "verbosity": -1,
    "n_jobs": 1,
    "random_state": 1,
}


def mstl(history: pd.DataFrame) -> pd.DataFrame:
    """Return statsforecast's MSTL with seasons of a day and a week, AutoETS for the trend, with intervals."""
    from statsforecast import StatsForecast
    from statsforecast.models import MSTL, AutoETS

    model = MSTL(season_length=[24, 168], trend_forecaster=AutoETS(model="ZZN"), alias="yhat")
    frame = StatsForecast(models=[model], freq="h", n_jobs=1).forecast(df=history, h=HOURS, level=[80, 90])
    quantiles = {name: frame[f"yhat-{side}-{level}"] for name, (side, level) in QUANTILES.items()}
    found: pd.DataFrame = frame[["unique_id", "ds", "yhat"]].assign(**quantiles, q50=frame["yhat"])
    return found


def _recursive(
    history: pd.DataFrame, transforms: list[Any], lags: list[int], windows: dict[int, Any], model: object
) -> pd.DataFrame:
    from mlforecast import MLForecast

    forecaster = MLForecast(
        models={"yhat": model},
        freq="h",
        lags=lags,
        lag_transforms=windows,
        date_features=["hour", "dayofweek"],
        target_transforms=transforms,
        num_threads=1,
    )
    found: pd.DataFrame = forecaster.fit(history, static_features=_static(history)).predict(HOURS)
    return found


def _static(history: pd.DataFrame) -> list[str]:
    return [name for name in history.columns if name not in ("unique_id", "ds", "y")]


def _mlforecast(history: pd.DataFrame, *, difference: bool) -> pd.DataFrame:
    from lightgbm import LGBMRegressor
    from mlforecast.lag_transforms import RollingMean
    from mlforecast.target_transforms import Differences, GlobalSklearnTransformer, LocalStandardScaler
    from sklearn.preprocessing import FunctionTransformer

    log = GlobalSklearnTransformer(FunctionTransformer(func=np.log1p, inverse_func=np.expm1))
    transforms = [log, *([Differences([24])] if difference else []), LocalStandardScaler()]
    lags = [1, 2, 3, 4, 5, 6, 12, 23, 24, 25, 47, 48, 49, 72, 96, 120, 144, 167, 168, 169]
    windows = {1: [RollingMean(6), RollingMean(24), RollingMean(168)], 24: [RollingMean(24)]}
    return _recursive(history, transforms, lags, windows, LGBMRegressor(objective="l1", **TREES))


def mlforecast_log(history: pd.DataFrame) -> pd.DataFrame:
    """Return mlforecast's recursive LightGBM on logarithms scaled by series, least absolute errors."""
    return _mlforecast(history, difference=False)


def mlforecast_difference(history: pd.DataFrame) -> pd.DataFrame:
    """Return the same on the differences to the day before."""
    return _mlforecast(history, difference=True)


def course(history: pd.DataFrame) -> pd.DataFrame:
    """Return the course's model: recursive LightGBM with defaults, lags 1 to 72, means and deviations, UTC calendar.

    The same inputs and regressor as in its code, through mlforecast instead of sktime, which is much faster.
    """
    from lightgbm import LGBMRegressor
    from mlforecast.lag_transforms import RollingMean, RollingStd

    names = history["unique_id"].str.split("/", expand=True)
    codes = {f"static_{column}": pd.factorize(names[column], sort=True)[0] for column in names.columns}
    windows = {1: [window(hours) for hours in (24, 48, 72) for window in (RollingMean, RollingStd)]}
    model = LGBMRegressor(verbosity=-1, n_jobs=1)
    return _recursive(history.assign(**codes), [], list(range(1, 73)), windows, model)


def skforecast(history: pd.DataFrame) -> pd.DataFrame:
    """Return skforecast's recursive forecaster over all series, LightGBM, scaled by series, least absolute errors."""
    from lightgbm import LGBMRegressor
    from skforecast.preprocessing import RollingFeatures
    from skforecast.recursive import ForecasterRecursiveMultiSeries
    from sklearn.preprocessing import StandardScaler

    wide = history.pivot(index="ds", columns="unique_id", values="y").asfreq("h")
    hours = pd.date_range(wide.index[0], wide.index[-1] + pd.Timedelta(hours=HOURS), freq="h")
    calendar = pd.DataFrame({"hour": hours.hour, "weekday": hours.dayofweek}, index=hours)
    forecaster = ForecasterRecursiveMultiSeries(
        estimator=LGBMRegressor(objective="l1", **TREES),
        lags=[1, 2, 3, 23, 24, 25, 48, 72, 96, 120, 144, 167, 168, 169],
        window_features=RollingFeatures(stats=["mean", "mean"], window_sizes=[24, 168]),
        transformer_series=StandardScaler(),
        encoding="ordinal",
    )
    forecaster.fit(series=wide, exog=calendar.loc[: wide.index[-1]], suppress_warnings=True)
    found = forecaster.predict(steps=HOURS, exog=calendar.loc[calendar.index > wide.index[-1]], suppress_warnings=True)
    frame = found.rename_axis("ds").reset_index().rename(columns={"level": "unique_id", "pred": "yhat"})
    forecast: pd.DataFrame = frame[["unique_id", "ds", "yhat"]]
    return forecast


def mean_of_seven_days(history: pd.DataFrame) -> pd.DataFrame:
    """Return the mean of the last seven days at the same hour."""
    last = history[history["ds"] > history["ds"].max() - pd.Timedelta(days=7)]
    means = (
        last.groupby(["unique_id", last["ds"].dt.hour])["y"].mean().rename("yhat").rename_axis(["unique_id", "hour"])
    )
    hours = pd.date_range(history["ds"].max() + pd.Timedelta(hours=1), periods=HOURS, freq="h")
    frame = means.reset_index().merge(pd.DataFrame({"ds": hours, "hour": hours.hour}), on="hour")
    forecast: pd.DataFrame = frame[["unique_id", "ds", "yhat"]]
    return forecast


PEERS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "mean-7-days": mean_of_seven_days,
    "course": course,
    "mstl-ets": mstl,
    "mlforecast-log": mlforecast_log,
    "mlforecast-log-diff24": mlforecast_difference,
    "skforecast": skforecast,
}


def main() -> int:
    """Write one peer's forecasts of all cutoffs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("--history", type=Path, required=True)
    parser.add_argument("--cutoffs", nargs="+", required=True, metavar="TIME")
    parser.add_argument("--days", type=int, default=30, help="days of history; 0: all (default: 30)")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    everything, parts, seconds = pd.read_parquet(options.history), [], []
    for cutoff in map(pd.Timestamp, options.cutoffs):
        seen = everything[everything["ds"] <= cutoff]
        if options.days:
            seen = seen[seen["ds"] > cutoff - pd.Timedelta(days=options.days)]
        begun = _cpu()
        parts.append(PEERS[options.peer](_without_gaps(seen)).assign(cutoff=cutoff))
        seconds.append(round(_cpu() - begun, 2))
        sys.stderr.write(f"{options.peer} at {cutoff}: {seconds[-1]} CPU seconds\n")
    pd.concat(parts, ignore_index=True).to_parquet(options.out, index=False)
    sys.stdout.write(json.dumps({"peer": options.peer, "cpu_seconds": seconds}) + "\n")
    return 0


def _without_gaps(seen: pd.DataFrame) -> pd.DataFrame:
    """Return the history with missing hours filled by the hour before: some peers refuse gaps."""
    wide = seen.pivot(index="ds", columns="unique_id", values="y").asfreq("h")
    if not wide.isna().to_numpy().any():
        return seen.reset_index(drop=True)
    return wide.ffill().bfill().melt(ignore_index=False, value_name="y").reset_index()[["unique_id", "ds", "y"]]


def _cpu() -> float:
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in usage)


if __name__ == "__main__":
    sys.exit(main())
