"""The names of the DE35 consumer types, from Energi Data Service's table ``Industrycodes_DE35`` into the store."""

from typing import Any, Final, TypedDict

import polars as pl

from feature_pipeline.de35 import CONSUMER_TYPES_DE35
from feature_pipeline.extract.energi_data_service import Patience, connected
from forecast_core import consumer_types
from forecast_core.consumer_types import CONSUMER_TYPES
from forecast_core.contracts.errors import SourceError
from forecast_core.contracts.settings import Settings

CODE_LIST: Final = "DE35"
_COLUMNS: Final = {
    "consumer_type": "ConsumerType_DE35",
    "name_da": "DE35_DA",
    "name_en": "DE35_UK",
    "group": "ConsumerType_DE4",
    "group_name_da": "DE4_DA",
    "group_name_en": "DE4_UK",
}
"""Our columns and those of the table; its description of 2020 names them, the live service could not be asked."""


class Fetched(TypedDict):
    """What ``fetch`` returns.

    ``codes`` is how many consumer types the table names, ``changed`` whether the stored table is new or has changed.
    ``warnings`` name the columns that the source lacks, and the codes of our data that it does not name.
    """

    url: str
    codes: int
    changed: bool
    warnings: list[str]


def fetch(url: str, *, settings: Settings | None = None) -> Fetched:
    """Fetch the table at ``url`` (``…/dataset/Industrycodes_DE35``) and keep it; the same again changes nothing.

    Raises:
        SourceError: If the url or the answer is not in the form that was expected.
        SourceUnavailable: If the source does not answer.
        StorageError: If the store cannot be written.
    """
    settings = settings or Settings()
    with connected(url, settings, Patience()) as ask:
        records = ask({"limit": "1000"})["records"]
    if not records or not all(isinstance(row, dict) and row.get("ConsumerType_DE35") for row in records):
        raise SourceError(f"{url} gives no rows with a ConsumerType_DE35; use …/dataset/Industrycodes_DE35.", url=url)
    frame = pl.DataFrame(
        [{ours: _text(row.get(theirs)) for ours, theirs in _COLUMNS.items()} for row in records], schema=CONSUMER_TYPES
    ).unique()
    absent = [theirs for theirs in _COLUMNS.values() if theirs not in records[0]]
    unnamed = sorted(set(CONSUMER_TYPES_DE35) - set(frame["consumer_type"]))
    return {
        "url": url,
        "codes": frame.height,
        "changed": consumer_types.write(settings, frame, code_list=CODE_LIST),
        "warnings": [
            *([f"the source lacks the columns {', '.join(absent)}"] if absent else []),
            *([f"the source does not name the consumer types {', '.join(unnamed)}"] if unnamed else []),
        ],
    }


def _text(value: Any) -> str | None:
    # The table pads names with blanks.
    return None if value is None else str(value).strip() or None
