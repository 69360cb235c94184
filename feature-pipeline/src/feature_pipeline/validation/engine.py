"""Great Expectations: the declared suite run on the tables, in memory, silent towards net and logs."""

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from feature_pipeline.validation.expectations import MARK, Expectation, Subject
from forecast_core.contracts.schema import OBSERVATIONS, SERIES

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES: Final = 3
_UNUSED: Final = ("altair", "scipy.stats")
"""Modules that Great Expectations imports for rules that the suite does not have (of distributions).

Loading them on first use halves the import without pandas: 2.4 instead of 5.2 CPU seconds (benchmarks/imports.py).
"""
_NAMED_BY: Final[dict[Subject, list[str]]] = {"values": list(OBSERVATIONS), "series": list(SERIES)}


def run(expectations: Sequence[Expectation], tables: Mapping[Subject, pl.DataFrame]) -> Any:
    """Return Great Expectations' result of all expectations on the tables, one suite result.

    Expectations keep their order. ``meta`` of each has our name for it; ``unexpected_index_list`` has every row that
    breaks it, by the columns that name a row.
    """
    gx = great_expectations()
    context = _context(gx)
    source = context.data_sources.add_pandas("observations")
    results = []
    for subject, table in tables.items():
        asset = source.add_dataframe_asset(subject)
        batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": to_pandas(table)})
        chosen = [_expectation(gx, each, table) for each in expectations if each.subject == subject]
        form = {
            "result_format": "COMPLETE",
            "partial_unexpected_count": EXAMPLES,
            "unexpected_index_column_names": _NAMED_BY[subject],
            "return_unexpected_index_query": False,
        }
        results.append(batch.validate(gx.ExpectationSuite(subject, expectations=chosen), result_format=form))
    return _together(gx, results)


def great_expectations() -> Any:
    """Return the package ``great_expectations``, imported on the first call, silent towards net and logs.

    The import takes seconds and hundreds of MB, so nothing imports it before validation needs it.
    """
    # Read by the import: nothing phones home.
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    log = logging.getLogger("great_expectations")
    if log.level == logging.NOTSET:
        # At INFO it writes hundreds of lines about its own classes.
        log.setLevel(logging.WARNING)
    with warnings.catch_warnings(), _postponed(_UNUSED):
        # It imports deprecated modules of Python; nothing that we or a user could change.
        warnings.simplefilter("ignore", DeprecationWarning)
        import great_expectations
    return great_expectations


@contextmanager
def _postponed(names: Sequence[str]) -> Iterator[None]:
    """Let an import of these modules, inside the block, load them on the first use of an attribute only."""
    finder = _Postponing(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Postponing(MetaPathFinder):
    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._names:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec


def to_pandas(table: pl.DataFrame) -> "pd.DataFrame":
    """Return a table as Great Expectations takes it; texts are of pandas' ``str``, times UTC, numbers float64."""
    import pandas as pd

    columns: dict[str, pd.Series[Any]] = {}
    for column in table:
        if isinstance(column.dtype, pl.Datetime):
            naive = column.dt.replace_time_zone(None).to_numpy()
            columns[column.name] = pd.Series(pd.to_datetime(naive, utc=True))
        elif column.dtype == pl.String:
            columns[column.name] = pd.Series(column.to_list(), dtype="str")
        else:
            columns[column.name] = pd.Series(column.to_numpy())
    return pd.DataFrame(columns)


def _context(gx: Any) -> Any:
    # Nothing on disk: no Data Docs, no stores.
    stores = gx.data_context.types.base.InMemoryStoreBackendDefaults(init_temp_docs_sites=False)
    config = gx.data_context.types.base.DataContextConfig(store_backend_defaults=stores)
    context = gx.get_context(mode="ephemeral", project_config=config)
    context.enable_analytics(False)
    context.variables.progress_bars = {"globally": False}
    return context


def _expectation(gx: Any, each: Expectation, table: pl.DataFrame) -> Any:
    arguments = dict(each.arguments)
    if MARK + each.name in table.columns:
        column = gx.expectations.row_conditions.Column(MARK + each.name)
        arguments["row_condition"] = column == False  # noqa: E712 - builds a condition, compares nothing
    severity = "critical" if each.severity == "error" else "warning"
    meta = {"name": each.name, "description": each.description}
    return getattr(gx.expectations, each.kind)(**arguments, severity=severity, meta=meta)


def _together(gx: Any, results: Sequence[Any]) -> Any:
    every = [each for result in results for each in result.results]
    kept = sum(1 for each in every if each.success)
    return gx.core.expectation_validation_result.ExpectationSuiteValidationResult(
        success=kept == len(every),
        results=every,
        suite_name="observations",
        statistics={
            "evaluated_expectations": len(every),
            "successful_expectations": kept,
            "unsuccessful_expectations": len(every) - kept,
            "success_percent": 100.0 * kept / len(every),
        },
        meta=dict(results[0].meta),
    )
