"""The schema of observations as expectations: declared once, for a dataset and a window, checked by Great Expectations.

An error stops the load. A warning is stored with the values, and both are kept in quarantine with their reason.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from feature_pipeline.datasets import Dataset
from forecast_core.contracts.schema import HOUR, KEY, OBSERVATIONS
from forecast_core.contracts.window import DATETIME_FORMAT, Window

Severity = Literal["error", "warning"]
Subject = Literal["values", "series"]

PAST_HOUR: Final = "seconds_past_hour"
"""Column derived for the check that times are full hours."""

MARK: Final = "accepted_"
"""Prefix of a column that is true for rows accepted for the expectation named after it."""

SHAPE: Final = {
    "flat_line": "no series stays on one value",
    "zero": "no series is zero at hours at which it is not otherwise",
    "spike": "no value jumps away from its neighbours or from what its hour is otherwise",
    "level_shift": "no series is suddenly on another level",
}
"""Expectations about the shape of series: columns of reasons, null where there is nothing to say."""

SERIES_STATE: Final = {
    "incomplete": "every series has every hour of the window",
    "vanished": "every series that was known has values",
    "new_series": "every series was known before",
}
"""Expectations about whole series: columns of reasons in the table of series."""

RELEASABLE: Final = frozenset({"range", "known_area", "known_consumer_type", *SHAPE, *SERIES_STATE})
"""Expectations of which a person may accept what breaks them; what breaks the others the store could not hold."""

VALUE_COLUMNS: Final = (*OBSERVATIONS, PAST_HOUR, *SHAPE)
_PANDAS_TYPES: Final = {"area": "str", "consumer_type": "str", "energy_consumption": "float64"}


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """One promise of the data.

    Attributes:
        name: Names it in results, counts, quarantine and acceptances.
        promise: What is expected, in words.
        severity: An ``error`` stops the load, a ``warning`` does not.
        subject: What has it: each value, or each series.
        kind: Great Expectations' class.
        arguments: The class's arguments.
    """

    name: str
    promise: str
    severity: Severity
    kind: str
    arguments: dict[str, Any] = field(default_factory=dict)
    subject: Subject = "values"


def suite(dataset: Dataset, window: Window, *, known_at: datetime) -> list[Expectation]:
    """Return what is expected of the observations that ``dataset`` has for ``window`` at ``known_at``."""
    return [*structure(), *_keys(window), *_values(dataset), *_freshness(dataset, window, known_at), *_reasons()]


def structure() -> list[Expectation]:
    """Return what is expected of the frame before its rows can be looked at, and of no value missing."""
    columns = list(OBSERVATIONS)
    return [
        _error(
            "columns",
            f"the columns are {columns}",
            "ExpectTableColumnsToMatchSet",
            column_set=columns,
            exact_match=False,
        ),
        *(
            _error(f"type_{name}", f"{name} is of type {kind}", "ExpectColumnValuesToBeOfType", column=name, type_=kind)
            for name, kind in _PANDAS_TYPES.items()
        ),
        *(
            _error(f"missing_{name}", f"{name} is not missing", "ExpectColumnValuesToNotBeNull", column=name)
            for name in columns
        ),
    ]


def _keys(window: Window) -> list[Expectation]:
    return [
        _error(
            "full_hour",
            "datetime_utc is a full hour",
            "ExpectColumnValuesToBeBetween",
            column=PAST_HOUR,
            min_value=0,
            max_value=0,
        ),
        _error(
            "inside_window",
            "datetime_utc is inside the window that was asked for",
            "ExpectColumnValuesToBeBetween",
            column="datetime_utc",
            min_value=window.start,
            max_value=window.end,
            strict_max=True,
        ),
        _error(
            "unique_key",
            "an area, consumer type and hour have one value only",
            "ExpectCompoundColumnsToBeUnique",
            column_list=list(KEY),
        ),
    ]


def _values(dataset: Dataset) -> list[Expectation]:
    known = {"area": dataset.areas, "consumer_type": dataset.consumer_types}
    sets = [
        Expectation(
            name=f"known_{column}",
            promise=f"{column} is one of {', '.join(names)}",
            severity="error",
            kind="ExpectColumnValuesToBeInSet",
            arguments={"column": column, "value_set": list(names)},
        )
        for column, names in known.items()
        if names is not None
    ]
    bounds = Expectation(
        name="range",
        promise=f"energy_consumption is between 0 and {dataset.maximum_kwh:,.0f} kWh",
        severity="error",
        kind="ExpectColumnValuesToBeBetween",
        arguments={"column": "energy_consumption", "min_value": 0.0, "max_value": dataset.maximum_kwh},
    )
    return [*sets, bounds]


def _freshness(dataset: Dataset, window: Window, known_at: datetime) -> list[Expectation]:
    due = min(window.end, known_at - timedelta(days=dataset.days_late)) - HOUR
    if due < window.start:
        return []
    promise = (
        f"the newest hour is {due:{DATETIME_FORMAT}} or later, as the source is {dataset.days_late} days late at most"
    )
    arguments = {"column": "datetime_utc", "min_value": due}
    kind = "ExpectColumnMaxToBeBetween"
    return [Expectation(name="fresh", promise=promise, severity="warning", kind=kind, arguments=arguments)]


def _reasons() -> list[Expectation]:
    subjects: list[tuple[Subject, dict[str, str]]] = [("values", SHAPE), ("series", SERIES_STATE)]
    return [
        Expectation(
            name=name,
            promise=promise,
            severity="warning",
            kind="ExpectColumnValuesToBeNull",
            arguments={"column": name},
            subject=subject,
        )
        for subject, reasons in subjects
        for name, promise in reasons.items()
    ]


def _error(name: str, promise: str, kind: str, **arguments: Any) -> Expectation:
    return Expectation(name=name, promise=promise, severity="error", kind=kind, arguments=arguments)
