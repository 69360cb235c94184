"""What each constant of the shape rules is worth: false and missed findings at half, one and double its value.

    .energy/venvs/dev/bin/python benchmarks/shape_constants.py --data hourly_demand_2020_2023.parquet \
        --denmark ConsumptionDE35Hour.parquet

Honest windows are 30 days of one series. EIA-930: raw demand of 2020 to 2022 in which every hour is flagged OKAY by
Ruggles et al.; ``--series`` series and ``--windows`` windows of each are drawn. Denmark: the published month of all 76
series. A finding in an honest window is a false finding. Then every window gets one fault of each kind in ``FAULTS``,
at an hour that is drawn; a fault is missed if no rule finds anything in its hours (a level shift: within a day of its
start). Draws are the same for every constant. All windows are moved to one start, so none has a change of the clocks.

Constants are halved and doubled; of SHIFT_FACTOR, a ratio, the part above 1, and of the two quantiles the part below 1.
Written with commit and machine to ``results/shape-constants.json``.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from machine import machine
from validation import ZONE, read_demand

from feature_pipeline.validation import shape
from forecast_core.contracts.window import Window

RESULTS: Final = Path(__file__).parent / "results" / "shape-constants.json"
START: Final = datetime(2020, 1, 1, tzinfo=UTC)
DAYS: Final = 30
HOURS: Final = 24 * DAYS
FIRST_FAULT: Final = 24 * 14
"""Faults begin in the second half of the window: a run sees a new fault near the end of its window."""

Values = np.ndarray
Fault = Callable[[Values, int, np.random.Generator], slice]
"""Changes hourly values from an hour on, in place; returns the hours in which a finding counts."""


def flat(length: int) -> Fault:
    """Repeat a value for ``length`` hours."""

    def change(values: Values, at: int, _: np.random.Generator) -> slice:
        values[at : at + length] = values[at]
        return slice(at, at + length)

    return change


def zero(values: Values, at: int, chance: np.random.Generator) -> slice:
    """Set one to five hours to zero."""
    length = int(chance.integers(1, 6))
    values[at : at + length] = 0.0
    return slice(at, at + length)


def times(factor: float, length: int) -> Fault:
    """Multiply ``length`` hours."""

    def change(values: Values, at: int, _: np.random.Generator) -> slice:
        values[at : at + length] *= factor
        return slice(at, at + length)

    return change


def newest(factor: float) -> Fault:
    """Multiply the newest hour."""

    def change(values: Values, _at: int, _: np.random.Generator) -> slice:
        values[-1] *= factor
        return slice(HOURS - 1, HOURS)

    return change


def shift(factor: float) -> Fault:
    """Multiply every hour from one on; found if a finding is within a day of it."""

    def change(values: Values, at: int, _: np.random.Generator) -> slice:
        values[at:] *= factor
        return slice(at - 24, at + 25)

    return change


FAULTS: Final[dict[str, Fault]] = {
    "flat 3 h": flat(3),
    "flat 6 h": flat(6),
    "flat 60 h": flat(60),
    "zero 1 to 5 h": zero,
    "x 1.3, 1 h": times(1.3, 1),
    "x 0.7, 1 h": times(0.7, 1),
    "x 1.6, 6 h": times(1.6, 6),
    "x 0.5, 6 h": times(0.5, 6),
    "x 1.3, newest hour": newest(1.3),
    "x 0.7, newest hour": newest(0.7),
    "x 1.4 from then on": shift(1.4),
    "x 0.7 from then on": shift(0.7),
}

BESIDE_ONE: Final = ("SHIFT_FACTOR",)
BELOW_ONE: Final = ("USUAL_IN_SERIES", "USUAL_AT_HOUR")
CONSTANTS: Final[dict[str, tuple[str, ...]]] = {
    "FLAT_HOURS": ("flat_lines", "spikes"),
    "STUCK_HOURS": ("flat_lines",),
    **dict.fromkeys(("SPIKE_IQRS", "STEP_IQRS", "ABOVE_IQRS", "BELOW_IQRS", "UNUSUAL"), ("spikes",)),
    **dict.fromkeys(("USUAL_IN_SERIES", "USUAL_AT_HOUR", "ROLLING_HOURS"), ("spikes",)),
    "LEAST_DAYS": ("zeros", "spikes", "level_shifts"),
    "LEAST_HOURS": ("spikes", "level_shifts"),
    **dict.fromkeys(("SHIFT_HOURS", "SHIFT_MARGIN", "SHIFT_FACTOR", "SHIFT_LAG_DAYS"), ("level_shifts",)),
}
"""The constants, each with the rules that use it; the other rules are not run again."""

RULES: Final = ("flat_lines", "zeros", "spikes", "level_shifts")
Found = set[tuple[int, int]]
"""(window, hour of the window) of findings."""


def scaled(name: str, by: float) -> float:
    """Return the value of a constant times ``by``, in the sense of the module's docstring."""
    value = getattr(shape, name)
    if name in BESIDE_ONE:
        return float(1 + (value - 1) * by)
    if name in BELOW_ONE:
        return float(1 - (1 - value) * by)
    return round(value * by) if isinstance(value, int) else float(value * by)


@contextmanager
def constant(name: str, value: float) -> Iterator[None]:
    """Give a constant of the shape rules another value inside the block."""
    before = getattr(shape, name)
    setattr(shape, name, value)
    try:
        yield
    finally:
        setattr(shape, name, before)


def honest(path: Path, *, series: int, windows: int, chance: np.random.Generator) -> list[tuple[datetime, Values]]:
    """Return the start and the hourly values (kWh) of windows without any flag, of as many series as asked for."""
    rows = read_demand(path, START, datetime(2023, 1, 1, tzinfo=UTC))
    found: list[tuple[datetime, Values]] = []
    names = rows["area"].unique().sort().to_list()
    starts = [START + timedelta(days=DAYS * number) for number in range(36)]
    used = 0
    for name in chance.permutation(names):
        own = rows.filter(pl.col("area") == name)
        clean = []
        for start in starts:
            month = own.filter(pl.col("datetime_utc").is_between(start, start + timedelta(days=DAYS), closed="left"))
            if month.height == HOURS and (month["quality"] == "OKAY").all():
                clean.append((start, month["energy_consumption"].to_numpy().copy()))
        if len(clean) >= windows:
            found += [clean[number] for number in chance.choice(len(clean), windows, replace=False)]
            used += 1
        if used == series:
            return found
    return found


def danish(path: Path) -> list[tuple[datetime, Values]]:
    """Return the start and the hourly values (kWh) of the published month of every Danish series."""
    rows = pl.read_parquet(path).sort("PriceArea", "ConsumerType_DE35", "HourUTC")
    series = rows.partition_by("PriceArea", "ConsumerType_DE35", maintain_order=True)
    return [(START, each["TotalCon"].cast(pl.Float64).to_numpy().copy()) for each in series if each.height == HOURS]


def table_of(windows: list[tuple[datetime, Values]]) -> pl.DataFrame:
    """Return ``shape.grid`` of all windows as if each were a series of its own, numbered from 0."""
    tables = []
    for number, (start, values) in enumerate(windows):
        window = Window(start, start + timedelta(days=DAYS))
        hours = pl.datetime_range(window.start, window.end, "1h", closed="left", time_unit="us", eager=True)
        rows = pl.DataFrame({"datetime_utc": hours, "energy_consumption": values}).select(
            pl.lit(f"{number:05}").alias("area"), pl.lit("demand").alias("consumer_type"), pl.all()
        )
        tables.append(shape.grid(rows, window, time_zone=ZONE).with_columns(pl.lit(number).alias("series")))
    return pl.concat(tables)


def findings(table: pl.DataFrame, rule: str) -> Found:
    """Return what a rule finds in a table."""
    hour = (pl.col("datetime_utc") - pl.lit(START)).dt.total_hours()
    return set(getattr(shape, rule)(table).select(pl.col("area").cast(pl.Int64), hour).iter_rows())


class Trial:
    """The tables of the honest and of the faulty windows, and the hours in which each fault counts as found."""

    def __init__(self, windows: list[tuple[datetime, Values]], chance: np.random.Generator) -> None:
        # All windows are moved to one start, so that the newest hour of each is the newest of the table.
        moved = [(START, values) for _, values in windows]
        self.honest = table_of(moved)
        self.faulty: dict[str, tuple[pl.DataFrame, list[slice]]] = {}
        for name, fault in FAULTS.items():
            changed, places = [], []
            for start, values in moved:
                copy = values.copy()
                places.append(fault(copy, int(chance.integers(FIRST_FAULT, HOURS - 72)), chance))
                changed.append((start, copy))
            self.faulty[name] = (table_of(changed), places)
        self._kept: dict[tuple[str, str], Found] = {}

    def _all(self, name: str, table: pl.DataFrame, rules: tuple[str, ...]) -> Found:
        """Return what all rules find; only ``rules`` are run if the others ran before."""
        own = {rule: findings(table, rule) for rule in RULES if rule in rules or (name, rule) not in self._kept}
        for rule, found in own.items():
            self._kept.setdefault((name, rule), found)
        return set().union(*(own.get(rule, self._kept[name, rule]) for rule in RULES))

    def score(self, rules: tuple[str, ...] = ()) -> dict[str, Any]:
        """Return the number of false findings, and of missed faults by kind.

        Args:
            rules: Those that a changed constant concerns; the first call has no changed constant.
        """
        missed = {}
        for name, (table, places) in self.faulty.items():
            found = self._all(name, table, rules)
            hits = [
                any((number, hour) in found for hour in range(*place.indices(HOURS)))
                for number, place in enumerate(places)
            ]
            missed[name] = len(hits) - sum(hits)
        return {
            "false": len(self._all("honest", self.honest, rules)),
            "missed": missed,
            "missed_in_all": sum(missed.values()),
        }


def main() -> None:
    """Sweep the constants and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--denmark", type=Path, required=True)
    parser.add_argument("--series", type=int, default=40)
    parser.add_argument("--windows", type=int, default=1)
    parser.add_argument("--only", action="append", choices=list(CONSTANTS))
    options = parser.parse_args()
    begun, chance = time.perf_counter(), np.random.default_rng(1)
    windows = honest(options.data, series=options.series, windows=options.windows, chance=chance)
    windows += danish(options.denmark)
    trial = Trial(windows, chance)
    base = trial.score()
    result: dict[str, Any] = {
        "command": f"benchmarks/shape_constants.py --data {options.data.name} --denmark {options.denmark.name}",
        "windows": len(windows),
        "hours": len(windows) * HOURS,
        "faults": len(windows) * len(FAULTS),
        "as_shipped": base,
        "constants": {},
    }
    print(json.dumps(result, indent=1), flush=True)  # noqa: T201 - a benchmark talks to a person
    for name in options.only or CONSTANTS:
        row: dict[str, Any] = {"value": getattr(shape, name)}
        for label, by in (("half", 0.5), ("double", 2.0)):
            value = scaled(name, by)
            with constant(name, value):
                row[label] = {"value": value, **trial.score(CONSTANTS[name])}
        result["constants"][name] = row
        print(name, json.dumps(row), flush=True)  # noqa: T201 - a benchmark talks to a person
    result |= {"seconds": round(time.perf_counter() - begun, 1), "machine": machine()}
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
