"""The validation rules, declared as expectations for a dataset and a window; Great Expectations checks them.

If a rule of severity ``error`` fails, nothing is stored. If one of severity ``warning`` fails, the observations are
stored. The rows that fail go to quarantine with the reason.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from feature_pipeline.datasets import Dataset
from feature_pipeline.wording import some
from forecast_core.contracts.schema import HOUR, KEY, OBSERVATIONS
from forecast_core.contracts.window import DATETIME_FORMAT, Window

Severity = Literal["error", "warning"]
Subject = Literal["values", "series"]

PAST_HOUR: Final = "seconds_past_hour"
"""Column with the seconds since the last full hour, for the rule ``full_hour``."""

MARK: Final = "accepted_"
"""Prefix of the column that is true for rows that a person released from the rule named after it."""

SHAPE: Final = {
    "flat_line": "a series must not repeat one value hour after hour",
    "zero": "a series must not be zero at a local hour at which it usually is not",
    "spike": "a value must not be far from its neighbours or from what is usual at its hour",
    "level_shift": "the level of a series must not change from one hour to the next",
}
"""Rules about the shape of series. Each has a column in the table of values: the reason why a row fails, or null."""

SERIES_STATE: Final = {
    "factor": "known hours of a series must not come again times a constant factor, as in another unit",
    "restated": "most known hours of most series must not come again with other values",
    "incomplete": "a series must have every hour of the window",
    "vanished": "a series that had values before must have values",
    "new_series": "a series must have had values before",
}
"""Rules about whole series. Each has a column in the table of series: the reason why a series fails, or null."""
_STOPPING_STATES: Final = ("factor",)

NAMING: Final = ("known_area", "known_consumer_type")
"""Rules about names. A release from one of them makes a new series."""

RELEASABLE: Final = frozenset({"range", "negative", *NAMING, *SHAPE, *SERIES_STATE})
"""Rules from which a person may release rows. The store cannot hold rows that fail one of the others."""

HOLDING_ON: Final = ("negative", *NAMING)
"""Rules whose release is for all hours to come of a series, and not for the released values only: a series that feeds
in, or a new one, would stop the run of every hour."""

VALUE_COLUMNS: Final = (*OBSERVATIONS, PAST_HOUR, *SHAPE)
_PANDAS_TYPES: Final = {"area": "str", "consumer_type": "str", "energy_consumption": "float64"}


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """One validation rule.

    Attributes:
        name: Names the rule in results, counts, quarantine and releases.
        description: What the rule demands, as a sentence with "must".
        severity: Whether the observations are stored if the rule fails: not if it is an ``error``.
        subject: What the rule judges: each value, or each series.
        kind: Name of Great Expectations' class.
        arguments: Arguments of the class.
    """

    name: str
    description: str
    severity: Severity
    kind: str
    arguments: dict[str, Any] = field(default_factory=dict)
    subject: Subject = "values"


def suite(dataset: Dataset, window: Window, *, reference_datetime: datetime) -> list[Expectation]:
    """Return the rules for the observations that ``dataset`` has of ``window`` at the reference time."""
    return [
        *structure(),
        *_keys(window),
        *_values(dataset),
        *_freshness(dataset, window, reference_datetime),
        *_reasons(),
    ]


def structure() -> list[Expectation]:
    """Return the rules about columns, types and missing values; a frame of any columns can be checked by them."""
    columns = list(OBSERVATIONS)
    return [
        _error(
            "columns",
            f"the columns must be {', '.join(columns)}",
            "ExpectTableColumnsToMatchSet",
            column_set=columns,
            exact_match=False,
        ),
        *(
            _error(
                f"type_{name}",
                f"{name} must be of type {kind}",
                "ExpectColumnValuesToBeOfType",
                column=name,
                type_=kind,
            )
            for name, kind in _PANDAS_TYPES.items()
        ),
        *(
            _error(f"missing_{name}", f"{name} must not be missing", "ExpectColumnValuesToNotBeNull", column=name)
            for name in columns
        ),
    ]


def _keys(window: Window) -> list[Expectation]:
    return [
        _error(
            "full_hour",
            "datetime_utc must be a full hour",
            "ExpectColumnValuesToBeBetween",
            column=PAST_HOUR,
            min_value=0,
            max_value=0,
        ),
        _error(
            "inside_window",
            "datetime_utc must be inside the window that was asked for",
            "ExpectColumnValuesToBeBetween",
            column="datetime_utc",
            min_value=window.start,
            max_value=window.end,
            strict_max=True,
        ),
        _error(
            "unique_key",
            "an area, consumer type and hour must have one value",
            "ExpectCompoundColumnsToBeUnique",
            column_list=list(KEY),
        ),
    ]


def _values(dataset: Dataset) -> list[Expectation]:
    known = {"area": dataset.areas, "consumer_type": dataset.consumer_types}
    sets = [
        Expectation(
            name=f"known_{column}",
            description=f"{column} must be one of {some(names, 3)} ({column}s in feature_pipeline.datasets)",
            severity="error",
            kind="ExpectColumnValuesToBeInSet",
            arguments={"column": column, "value_set": list(names)},
        )
        for column, names in known.items()
        if names is not None
    ]
    entry = "in feature_pipeline.datasets"
    energy, kind = "energy_consumption", "ExpectColumnValuesToBeBetween"
    least, most = dataset.minimum_kwh, dataset.maximum_kwh
    return [
        *sets,
        _error(
            "negative",
            f"a value must be at least {least:,.0f} kWh (minimum_kwh {entry})",
            kind,
            column=energy,
            min_value=least,
        ),
        _error(
            "range",
            f"a value must be within ±{most:,.0f} kWh (maximum_kwh {entry})",
            kind,
            column=energy,
            min_value=-most,
            max_value=most,
        ),
    ]


def _freshness(dataset: Dataset, window: Window, reference_datetime: datetime) -> list[Expectation]:
    due = min(window.end, reference_datetime - timedelta(days=dataset.days_late)) - HOUR
    if due < window.start:
        return []
    description = (
        f"the newest hour must be {due:{DATETIME_FORMAT}} or later: the source publishes at most "
        f"{dataset.days_late} days late"
    )
    arguments = {"column": "datetime_utc", "min_value": due}
    kind = "ExpectColumnMaxToBeBetween"
    return [Expectation(name="fresh", description=description, severity="warning", kind=kind, arguments=arguments)]


def _reasons() -> list[Expectation]:
    subjects: list[tuple[Subject, dict[str, str]]] = [("values", SHAPE), ("series", SERIES_STATE)]
    return [
        Expectation(
            name=name,
            description=description,
            severity="error" if name in _STOPPING_STATES else "warning",
            kind="ExpectColumnValuesToBeNull",
            arguments={"column": name},
            subject=subject,
        )
        for subject, reasons in subjects
        for name, description in reasons.items()
    ]


def _error(name: str, description: str, kind: str, **arguments: Any) -> Expectation:
    return Expectation(name=name, description=description, severity="error", kind=kind, arguments=arguments)
