"""Validation runs: what each run of the feature pipeline found in its data, and where its result and page are.

The table ``validation_runs`` has one row per run. The files of a run, its result as JSON and a page for people, lie
beside the tables: ``validation/DATASET/NAME.json`` and ``.html``.
"""

import json
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Final, Literal

import polars as pl

from forecast_core.contracts.schema import UTC_HOUR, Frame, meaning
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window, as_utc
from forecast_core.tables import blobs, checks, keyed
from forecast_core.tables.declaration import dated
from forecast_core.tables.faults import storage_errors

FOLDER: Final = "validation"
"""Folder of the files in the store."""

Outcome = Literal["passed", "stored with warnings", "stopped"]
"""``stopped``: a rule of severity error failed, and none of the run's observations were stored."""

VALIDATION_RUNS: Final = Frame(
    {
        "dataset": pl.String(),
        "name": pl.String(),
        "feature_group_version": pl.Int64(),
        "reference_datetime": UTC_HOUR,
        "window_start": UTC_HOUR,
        "window_end": UTC_HOUR,
        "outcome": pl.String(),
        "findings": pl.String(),
        "rules": pl.Int64(),
        "failed_rules": pl.Int64(),
    },
    key=("dataset", "name"),
    meaning={
        **meaning("dataset"),
        "name": "name of the run within its dataset, and of its files",
        **meaning("feature_group_version", "reference_datetime", "window_start", "window_end"),
        "outcome": "``passed``, ``stored with warnings`` or ``stopped``",
        "findings": "rows that fail, by rule, JSON",
        "rules": "number of rules that were checked",
        "failed_rules": "number of rules that failed",
    },
)
"""The validation of the observations of one window."""

_DATE: Final = "reference_date"
"""Partition of the table: a run that writes, and a page that lists the newest runs, read a few days of it only."""
TABLES: Final = (dated("validation_runs", VALIDATION_RUNS, by="reference_datetime", date_column=_DATE),)
"""The table of validation runs."""


@dataclass(frozen=True)
class FindingCount:
    """How many rows (or series) fail one validation rule."""

    expectation: str
    severity: Literal["error", "warning"]
    rows: int


@dataclass(frozen=True, kw_only=True)
class ValidationRun:
    """The validation of the observations of one window, as known at one reference time.

    Attributes:
        dataset: Name of the source's dataset.
        name: Names the run within its dataset, and its files.
        feature_group_version: With the dataset, names the feature group.
        reference_datetime: Reference time of the run.
        window: Hours that the source was asked for.
        outcome: Whether the observations passed and were stored.
        findings: Rows that fail, by rule; empty if none does.
        rules: Number of rules that were checked.
        failed_rules: Number of rules that failed.
    """

    dataset: str
    name: str
    feature_group_version: int
    reference_datetime: datetime
    window: Window
    outcome: Outcome
    findings: tuple[FindingCount, ...]
    rules: int
    failed_rules: int


class Validations:
    """Delta table ``validation_runs`` under ``settings.store``, and the files of its runs.

    All methods raise ``StorageError`` when the store cannot be read or written now.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._runs = TABLES[0].table(settings)

    def write(self, run: ValidationRun) -> None:
        """Store a run in place of one of its name; the same again commits nothing."""
        reference = as_utc(run.reference_datetime)
        row = {
            "dataset": checks.dataset_name(run.dataset),
            "name": run.name,
            "feature_group_version": checks.version_number("feature_group_version", run.feature_group_version),
            "reference_datetime": reference,
            "window_start": run.window.start,
            "window_end": run.window.end,
            "outcome": run.outcome,
            "findings": json.dumps([asdict(each) for each in run.findings]),
            "rules": run.rules,
            "failed_rules": run.failed_rules,
            _DATE: reference.date(),
        }
        key: dict[str, keyed.Value] = {_DATE: reference.date(), "dataset": run.dataset, "name": run.name}
        keyed.replace(self._runs, pl.DataFrame([row], schema=self._runs.schema), key=key)

    def runs(self, *, dataset: str | None = None, days: int | None = None) -> list[ValidationRun]:
        """Return the runs by reference time and name, newest first.

        Args:
            dataset: Only runs of this dataset.
            days: Only runs whose reference time lies on one of the newest so many days that have any run at all.
        """
        snapshot = self._runs.snapshot()
        if snapshot is None:
            return []
        conditions = [] if dataset is None else [pl.col("dataset") == dataset]
        if days is not None:
            every = sorted({str(each[_DATE]) for each in snapshot.table.partitions()})
            conditions.append(pl.col(_DATE).is_in([date.fromisoformat(each) for each in every[-days:]]))
        with storage_errors(snapshot.uri):
            found = snapshot.rows.filter(*conditions).collect()
        newest = found.sort("reference_datetime", "name", "dataset", descending=True)
        return [_run(row) for row in newest.iter_rows(named=True)]

    def remove(self, *, dataset: str, feature_group_version: int, reference_datetime: datetime) -> int:
        """Remove the runs of a feature group at a reference time; return how many there were. Their files stay."""
        reference = as_utc(reference_datetime)
        key: dict[str, keyed.Value] = {
            _DATE: reference.date(),
            "dataset": checks.dataset_name(dataset),
            "feature_group_version": feature_group_version,
            "reference_datetime": reference,
        }
        return keyed.remove(self._runs, key=key)

    def write_file(self, dataset: str, file: str, content: bytes) -> str:
        """Write a file of the dataset's runs (``NAME.json``, ``NAME.html``); return its path or URI."""
        return blobs.write(self._settings, FOLDER, checks.dataset_name(dataset), file, content=content)

    def read_file(self, dataset: str, file: str) -> bytes:
        """Return a file of the dataset's runs.

        Raises:
            InvalidArgument: If ``dataset`` or ``file`` is not a plain name.
            NotFoundError: If there is no such file.
        """
        return blobs.read(self._settings, FOLDER, dataset, file)


def _run(row: dict[str, Any]) -> ValidationRun:
    return ValidationRun(
        dataset=row["dataset"],
        name=row["name"],
        feature_group_version=row["feature_group_version"],
        reference_datetime=row["reference_datetime"],
        window=Window(row["window_start"], row["window_end"]),
        outcome=row["outcome"],
        findings=tuple(FindingCount(**each) for each in json.loads(row["findings"])),
        rules=row["rules"],
        failed_rules=row["failed_rules"],
    )
