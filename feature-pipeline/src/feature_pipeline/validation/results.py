"""The result of a validation run in the store: JSON, page, a row in the table of runs, and the dataset's index page."""

import json
from typing import Any, Final

import polars as pl

from feature_pipeline.validation import data_docs
from feature_pipeline.validation.findings import reported
from forecast_core.contracts.settings import Settings
from forecast_core.validations import ValidationRun, Validations

_INDEX_DAYS: Final = 30
"""Days with runs that an index page lists. Every run writes the index anew, so what it reads must not grow."""


def keep(run: ValidationRun, checked: Any, found: pl.DataFrame, *, settings: Settings) -> tuple[str, str]:
    """Store the result of ``run`` in place of an earlier one of its name.

    Args:
        run: The run, as it shall be listed.
        checked: Great Expectations' result of it.
        found: FINDINGS, the rows that fail.
        settings: Where the store is.

    Returns:
        Path (local stores) or URI (object stores) of the JSON result and of the page.

    Raises:
        StorageError: If the store cannot be written now.
    """
    validations = Validations(settings)

    def write(file: str, text: str) -> str:
        return validations.write_file(run.dataset, file, text.encode())

    result = write(f"{run.name}.json", json.dumps(reported(run, checked), indent=1, sort_keys=True))
    page = write(f"{run.name}.html", data_docs.page(run, checked, found))
    # After its files: what is listed can be read.
    validations.write(run)
    write("index.html", data_docs.index(run.dataset, validations.runs(dataset=run.dataset, days=_INDEX_DAYS)))
    return result, page
