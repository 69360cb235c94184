"""Finished trials of a search: one row of the table ``trials`` each."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import polars as pl

from forecast_core.contracts.schema import Frame

TRIALS: Final = Frame(
    {
        "sweep_id": pl.String(),
        "number": pl.Int64(),
        "pruned": pl.Boolean(),
        "value": pl.Float64(),
        "point": pl.String(),
        "measures": pl.String(),
        "steps": pl.String(),
    },
    key=("sweep_id", "number"),
    meaning={
        "sweep_id": "names the search",
        "number": "place among the finished trials, from 0 on",
        "pruned": "whether the trial was given up early",
        "value": "objective; of a trial that was given up, the last that it reported",
        "point": "values that were tried, by name, JSON",
        "measures": "measures of the configuration, JSON; empty if the trial was given up",
        "steps": "objective after each fold but the last, by fold, JSON",
    },
)
"""One row per finished trial; see ``Trial``."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One finished trial of a search.

    Attributes:
        number: Place among the finished trials, from 0 on.
        pruned: Whether it was given up early.
        value: Objective; of a trial that was given up, the last one that it reported.
        point: The values that were tried, by name.
        measures: Measures of the configuration; empty if the trial was given up.
        steps: Objective after each fold but the last, by fold.
    """

    number: int
    pruned: bool
    value: float
    point: Mapping[str, Any]
    measures: Mapping[str, float | None]
    steps: Mapping[int, float]


def to_row(sweep_id: str, trial: Trial) -> pl.DataFrame:
    """Return a trial of a search as a row of TRIALS."""
    texts = {name: json.dumps(dict(getattr(trial, name))) for name in ("point", "measures", "steps")}
    return pl.DataFrame([{"sweep_id": sweep_id, **asdict(trial), **texts}], schema=TRIALS)


def from_row(row: Mapping[str, Any]) -> Trial:
    """Return the trial of a row of TRIALS."""
    steps = {int(step): value for step, value in json.loads(row["steps"]).items()}
    return Trial(
        number=row["number"],
        pruned=row["pruned"],
        value=row["value"],
        point=json.loads(row["point"]),
        measures=json.loads(row["measures"]),
        steps=steps,
    )
