"""The table ``promotions``: decisions about the champion, each in force from its reference time on."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import polars as pl

from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.schema import UTC_HOUR, Frame, meaning
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT, as_utc
from forecast_core.tables.declaration import Declaration
from forecast_core.tables.delta import Change, Snapshot
from forecast_core.tracking import mlflow_records

Action = Literal["promote", "keep", "rollback"]
Config = Mapping[str, Any]
"""A configuration of the forecaster, as plain JSON."""

PROMOTIONS: Final = Frame(
    {
        "decision_id": pl.String(),
        "feature_view_version": pl.Int64(),
        "fh": pl.Int64(),
        "reference_datetime": UTC_HOUR,
        "action": pl.String(),
        "by": pl.String(),
        "config": pl.String(),
        "source": pl.String(),
        "candidate": pl.String(),
        "sweep_id": pl.String(),
        "against": pl.String(),
        "reason": pl.String(),
        "test": pl.String(),
        "model_version": pl.Int64(),
        "code_version": pl.String(),
    },
    key=("decision_id",),
    nullable=("config", "candidate", "sweep_id", "against", "model_version"),
    meaning={
        "decision_id": "hash of what was decided on",
        **meaning("feature_view_version"),
        "fh": "hours that the models forecast",
        "reference_datetime": "the decision is in force from this time on, UTC",
        "action": "``promote``, ``keep`` or ``rollback``",
        "by": "``run`` or ``person``",
        "config": "configuration of the champion after the decision, JSON; null is the shipped default",
        "source": "where that configuration comes from",
        "candidate": "configuration that was decided on, JSON",
        "sweep_id": "search that found the candidate; null for a person's decision",
        "against": "configuration of the champion before the decision of a run, JSON; null is the shipped default",
        "reason": "why, in words",
        "test": "figures of the comparison, JSON",
        "model_version": "model version that a person promoted",
        "code_version": "versions of the distributions that decided",
    },
)
"""One row per decision; see ``Promotion``."""

TABLES: Final = (Declaration(name="promotions", frame=PROMOTIONS, dated_by="reference_datetime"),)
"""The table of decisions."""

_JSON: Final = ("config", "candidate", "against", "test")


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """One decision about the champion of a feature view and horizon.

    Attributes:
        action: ``promote`` and ``rollback`` change the champion, ``keep`` does not.
        reference_datetime: The decision is in force from this time on.
        feature_view_version: Of the feature view.
        fh: Hours that the models forecast.
        config: The champion's configuration after the decision; None is the shipped default.
        source: Where that configuration comes from.
        candidate: The configuration that was decided on.
        reason: Why.
        test: Figures of the comparison; empty for a person's decision.
        model_version: The model version that a person promoted.
        by: Who decided.
        code_version: The versions of the distributions that decided.
        sweep_id: The search that found the candidate; None for a person's decision.
        against: The champion's configuration before the decision of a run; None is the shipped default.
    """

    action: Action
    reference_datetime: datetime
    feature_view_version: int
    fh: int
    config: Config | None
    source: str
    candidate: Config | None
    reason: str
    test: Mapping[str, Any]
    model_version: int | None = None
    by: Literal["run", "person"]
    code_version: str = ""
    sweep_id: str | None = None
    against: Config | None = None

    @property
    def decision_id(self) -> str:
        """What was decided on: a search's candidate against a champion, or a person's decision at a time."""
        if self.sweep_id is not None:
            content = [self.sweep_id, config_text(self.candidate), config_text(self.against)]
        elif self.by == "person":
            content = [self.by, self.reference_datetime.isoformat()]
        else:
            content = [
                self.by,
                self.reference_datetime.isoformat(),
                config_text(self.candidate),
                config_text(self.config),
            ]
        text = json.dumps([self.feature_view_version, self.fh, *content])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def config_text(config: Config | None) -> str | None:
    """Return a configuration as JSON with sorted keys, as the tags of a model version have it.

    >>> config_text({"trees": 100, "bags": 1})
    '{"bags": 1, "trees": 100}'
    """
    return None if config is None else json.dumps(dict(config), sort_keys=True)


class Decisions:
    """Delta table ``promotions`` under ``settings.store``.

    Version 1.0.0 kept decisions as runs in MLflow. They are read there as long as the table is empty; ``migrate`` and
    the first write copy them into the table.

    All methods raise ``StorageError`` when the store cannot be read or written now, and ``TrackingError`` when the
    tracking database has to be read for older decisions and cannot be.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._table = TABLES[0].table(settings)

    def migrate(self) -> int:
        """Copy the decisions of version 1.0.0 into the table, if it has none; return how many were copied."""

        def plan(snapshot: Snapshot) -> tuple[int, Change | None]:
            older = self._older(snapshot.rows.collect())
            return older.height, Change(older) if older.height else None

        return self._table.commit(plan)

    def read(self, *, feature_view_version: int, fh: int, until: datetime | None = None) -> list[Promotion]:
        """Return the decisions up to ``until`` (None: all), by reference time; those of one time by what they say."""
        scope = (pl.col("feature_view_version") == feature_view_version) & (pl.col("fh") == fh)
        stored = self._table.collect(lambda rows: rows)
        found = pl.concat([stored, self._older(stored)]).filter(scope)
        decisions = [_from_row(row) for row in found.sort("reference_datetime", "decision_id").iter_rows(named=True)]
        return [each for each in decisions if until is None or each.reference_datetime <= as_utc(until)]

    def record(self, decision: Promotion) -> Promotion:
        """Store a decision and return it; if it was stored before, return it as it was stored.

        Raises:
            InvalidArgument: If a person decides otherwise at a time at which a person has decided already.
        """
        row = _row(decision)

        def plan(snapshot: Snapshot) -> tuple[Promotion, Change | None]:
            stored = snapshot.rows.collect()
            older = self._older(stored)
            same = pl.concat([stored, older]).filter(pl.col("decision_id") == row["decision_id"][0])
            if same.is_empty():
                return decision, Change(pl.concat([older, row]))
            return _from_row(same.row(0, named=True)), None

        kept = self._table.commit(plan)
        if decision.by == "person" and kept != decision:
            raise InvalidArgument(
                f"at {kept.reference_datetime:{DATETIME_FORMAT}} a person has decided already ({kept.action} to "
                f"{kept.source}: {kept.reason}): give another reference_datetime",
                reference_datetime=kept.reference_datetime,
            )
        return kept

    def _older(self, stored: pl.DataFrame) -> pl.DataFrame:
        """Return the decisions that version 1.0.0 recorded, if the table has none yet."""
        if not stored.is_empty():
            return stored.clear()
        older = [Promotion(**facts) for facts in mlflow_records.promotions(self._settings)]
        return pl.concat([PROMOTIONS.to_frame(), *map(_row, _apart(older))])


def _apart(decisions: list[Promotion]) -> list[Promotion]:
    """Return decisions, given in the order of their recording, with times that all differ.

    Of decisions at one time, version 1.0.0 let the one that was recorded last stand. A microsecond between them keeps
    that order.
    """
    apart: list[Promotion] = []
    for each in sorted(decisions, key=lambda each: each.reference_datetime):
        same_scope = [
            other.reference_datetime
            for other in apart
            if (other.feature_view_version, other.fh) == (each.feature_view_version, each.fh)
        ]
        earliest = max(same_scope, default=datetime.min.replace(tzinfo=each.reference_datetime.tzinfo))
        later = max(each.reference_datetime, earliest + timedelta(microseconds=1))
        apart.append(replace(each, reference_datetime=later))
    return apart


def _row(decision: Promotion) -> pl.DataFrame:
    facts = asdict(decision) | {"decision_id": decision.decision_id}
    facts |= {"reference_datetime": as_utc(decision.reference_datetime)}
    facts |= {name: config_text(facts[name]) for name in _JSON}
    return pl.DataFrame([facts], schema=PROMOTIONS)


def _from_row(row: Mapping[str, Any]) -> Promotion:
    facts = {name: value for name, value in row.items() if name != "decision_id"}
    parsed = {name: None if facts[name] is None else json.loads(facts[name]) for name in _JSON}
    return Promotion(**{**facts, **parsed})
