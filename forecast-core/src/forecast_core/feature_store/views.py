"""Feature views: the columns of a feature group that a model reads; a version always has the same definition."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypedDict

import polars as pl

from forecast_core.contracts.errors import NotFoundError
from forecast_core.contracts.schema import KEY, OBSERVATIONS, Frame
from forecast_core.tables.declaration import Declaration
from forecast_core.tables.delta import Change, Snapshot, Table

VIEWS: Final = Frame(
    {"version": pl.Int64(), "definition_hash": pl.String(), "definition": pl.String()},
    key=("version",),
    meaning={
        "version": "version of the feature view",
        "definition_hash": "SHA-256 of the definition",
        "definition": "canonical JSON of ``definition``",
    },
)
"""One row per version of a feature view."""

TABLE: Final = Declaration(name="feature_views", frame=VIEWS)
"""The table of feature views."""


@dataclass(frozen=True)
class FeatureView:
    """A version of a definition; ``definition_hash`` is the SHA-256 of the definition's canonical JSON."""

    version: int
    dataset: str
    feature_group_version: int
    definition: Mapping[str, Any]
    definition_hash: str


class Definition(TypedDict):
    """What a feature view reads; its canonical JSON is hashed, so that a field more makes other versions."""

    format_version: int
    dataset: str
    feature_group_version: int
    columns: list[str]
    keys: list[str]
    target: str
    unit: str


def definition(*, dataset: str, feature_group_version: int) -> Definition:
    """Return the definition of the view of all that a feature group observes (energy in kWh an hour)."""
    return {
        "format_version": 1,
        "dataset": dataset,
        "feature_group_version": feature_group_version,
        "columns": OBSERVATIONS.names(),
        "keys": list(KEY),
        "target": "energy_consumption",
        "unit": "kWh",
    }


def create(table: Table, content: Definition) -> int:
    """Return the version of a definition: the one that it has, or the next one."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()

    def plan(snapshot: Snapshot) -> tuple[int, Change | None]:
        views = snapshot.rows.select("version", "definition_hash").collect()
        known = views.filter(pl.col("definition_hash") == digest)["version"].to_list()
        if known:
            return known[0], None
        version = max(views["version"].to_list(), default=0) + 1
        return version, Change(pl.DataFrame([(version, digest, text)], schema=VIEWS, orient="row"))

    return table.commit(plan)


def listed(table: Table) -> list[FeatureView]:
    """Return all versions, the first one first."""
    views = table.collect(lambda rows: rows.sort("version"))
    return [_from_row(row) for row in views.iter_rows(named=True)]


def get(table: Table, version: int) -> FeatureView:
    """Return a version.

    Raises:
        NotFoundError: If it does not exist; the message names those that do.
    """
    views = table.collect(lambda rows: rows)
    found = views.filter(pl.col("version") == version)
    if found.is_empty():
        existing = sorted(views["version"].to_list())
        raise NotFoundError(
            f"there is no feature view version {version}; there are {existing or 'none yet'}: "
            "create one with feature_view.create",
            version=version,
            existing=existing,
        )
    return _from_row(found.row(0, named=True))


def _from_row(row: Mapping[str, Any]) -> FeatureView:
    content = json.loads(row["definition"])
    return FeatureView(
        row["version"], content["dataset"], content["feature_group_version"], content, row["definition_hash"]
    )
