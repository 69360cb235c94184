"""The promises of the data, checked by Great Expectations before anything is stored."""

import logging
import os
import warnings
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from feature_pipeline.datasets import Dataset
from feature_pipeline.files import write_json
from forecast_core.errors import ValidationError
from forecast_core.schema import KEY, OBSERVATIONS
from forecast_core.window import DATETIME_FORMAT, Window

if TYPE_CHECKING:
    import pandas as pd

PAST_HOUR: Final = "seconds_past_hour"
"""Column derived for the check that times are full hours."""

_EXAMPLES: Final = 3
_PANDAS_TYPES: Final = {"area": "str", "consumer_type": "str", "energy_consumption": "float64"}


def promises(window: Window, dataset: Dataset) -> list[tuple[str, str, dict[str, Any]]]:
    """Return the suite: each promise in words, Great Expectations' class for it, and the class's arguments."""
    columns = list(OBSERVATIONS)
    # Missing hours make a forecast less certain; they do not stop it.
    full = {"value": len(dataset.series) * window.hours, "severity": "warning"}
    complete = ("every series has every hour of the window", "ExpectTableRowCountToEqual", full)
    return [
        (f"the columns are {columns}", "ExpectTableColumnsToMatchOrderedList", {"column_list": [*columns, PAST_HOUR]}),
        *(
            (f"{name} is of type {kind}", "ExpectColumnValuesToBeOfType", {"column": name, "type_": kind})
            for name, kind in _PANDAS_TYPES.items()
        ),
        *((f"{name} is not missing", "ExpectColumnValuesToNotBeNull", {"column": name}) for name in columns),
        *(
            (
                f"{name} is one of {', '.join(known)}",
                "ExpectColumnValuesToBeInSet",
                {"column": name, "value_set": known},
            )
            for name, known in (("area", dataset.areas), ("consumer_type", dataset.consumer_types))
            if known
        ),
        (
            "datetime_utc is a full hour",
            "ExpectColumnValuesToBeBetween",
            {"column": PAST_HOUR, "min_value": 0, "max_value": 0},
        ),
        (
            "datetime_utc is inside the window that was asked for",
            "ExpectColumnValuesToBeBetween",
            {"column": "datetime_utc", "min_value": window.start, "max_value": window.end, "strict_max": True},
        ),
        (
            f"energy_consumption is between 0 and {dataset.maximum_kwh:,.0f} kWh",
            "ExpectColumnValuesToBeBetween",
            {"column": "energy_consumption", "min_value": 0.0, "max_value": dataset.maximum_kwh},
        ),
        (
            "an area, consumer type and hour have one value only",
            "ExpectCompoundColumnsToBeUnique",
            {"column_list": list(KEY)},
        ),
        *([complete] if dataset.series else []),
    ]


def validate(observations: pl.DataFrame, window: Window, *, dataset: Dataset, result_path: Path) -> None:
    """Check ``observations`` (``schema.OBSERVATIONS``) against the suite and keep the JSON result at ``result_path``.

    Raises:
        ValidationError: If a promise other than completeness is broken; the message names the first rows that do.
        StorageError: If the result cannot be written.
    """
    result = _result(observations, window, dataset)
    write_json(result_path, result)
    broken = [_broken(each) for each in result["results"] if not each["success"] and _is_critical(each)]
    if broken:
        raise ValidationError(
            f"the data break {len(broken)} of the schema's promises, and nothing was stored: {'; '.join(broken)}. "
            f"Correct the source and run again; all results are in {result_path}.",
            broken=broken,
            result=str(result_path),
        )


def _result(observations: pl.DataFrame, window: Window, dataset: Dataset) -> dict[str, Any]:
    """Run the suite; the result is Great Expectations' own, as JSON."""
    gx = _great_expectations()
    # Nothing on disk: no Data Docs, no stores.
    stores = gx.data_context.types.base.InMemoryStoreBackendDefaults(init_temp_docs_sites=False)
    config = gx.data_context.types.base.DataContextConfig(store_backend_defaults=stores)
    context = gx.get_context(mode="ephemeral", project_config=config)
    context.enable_analytics(False)
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("observations").add_dataframe_asset("window")
    batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": _pandas(observations)})
    suite = gx.ExpectationSuite(
        "observations",
        expectations=[
            getattr(gx.expectations, name)(**arguments, meta={"promise": promise})
            for promise, name, arguments in promises(window, dataset)
        ],
    )
    form = {
        "result_format": "SUMMARY",
        "partial_unexpected_count": _EXAMPLES,
        "unexpected_index_column_names": list(OBSERVATIONS),
    }
    result: dict[str, Any] = batch.validate(suite, result_format=form).to_json_dict()
    return result


def _great_expectations() -> Any:
    """Import Great Expectations (seconds, hundreds of MB: only where it is used), silent towards net and logs."""
    # Read by the import: nothing phones home.
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    log = logging.getLogger("great_expectations")
    if log.level == logging.NOTSET:
        # At INFO it writes hundreds of lines about its own classes.
        log.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # It imports deprecated modules of Python; nothing that we or a user could change.
        warnings.simplefilter("ignore", DeprecationWarning)
        import great_expectations
    return great_expectations


def _pandas(observations: pl.DataFrame) -> "pd.DataFrame":
    """The batch as Great Expectations takes it, with the seconds past the hour as a column of their own."""
    import pandas as pd

    hours = observations["datetime_utc"]
    past_hour = hours - hours.dt.truncate("1h")
    return pd.DataFrame(
        {
            "area": pd.Series(observations["area"].to_list(), dtype="str"),
            "consumer_type": pd.Series(observations["consumer_type"].to_list(), dtype="str"),
            "datetime_utc": pd.to_datetime(
                observations["datetime_utc"].dt.replace_time_zone(None).to_numpy(), utc=True
            ),
            "energy_consumption": observations["energy_consumption"].to_numpy(),
            PAST_HOUR: past_hour.dt.total_microseconds().to_numpy() / 1e6,
        }
    )


def _is_critical(result: dict[str, Any]) -> bool:
    return bool(result["expectation_config"]["severity"] == "critical")


def _broken(result: dict[str, Any]) -> str:
    """One line: the promise, how many rows break it, and the first of them."""
    promise, found = result["expectation_config"]["meta"]["promise"], result["result"]
    rows = found.get("partial_unexpected_index_list")
    if not rows:
        reason = found.get("observed_value") or result["exception_info"].get("exception_message")
        return f"{promise}: not so ({reason})"
    return f"{promise}: not so in {found['unexpected_count']} rows ({', '.join(_row(row) for row in rows)})"


def _row(row: dict[str, Any]) -> str:
    hour = row["datetime_utc"]
    moment = "no time" if hour in (None, "NaT") else datetime.fromisoformat(hour).strftime(DATETIME_FORMAT)
    return f"{row['area']}/{row['consumer_type']} at {moment} = {row['energy_consumption']}"
