"""Names of consumer types in Danish and English, and the group of each, by list of codes."""

from typing import Final

import polars as pl

from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.schema import Frame
from forecast_core.contracts.settings import Settings
from forecast_core.tables import checks, keyed
from forecast_core.tables.declaration import Declaration

CONSUMER_TYPES: Final = Frame(
    {
        "consumer_type": pl.String(),
        "name_da": pl.String(),
        "name_en": pl.String(),
        "group": pl.String(),
        "group_name_da": pl.String(),
        "group_name_en": pl.String(),
    },
    key=("consumer_type",),
    nullable=("name_da", "name_en", "group", "group_name_da", "group_name_en"),
    meaning={
        "consumer_type": "code of the consumer type",
        "name_da": "its name in Danish",
        "name_en": "its name in English",
        "group": "code of the group that it belongs to",
        "group_name_da": "name of the group in Danish",
        "group_name_en": "name of the group in English",
    },
)
"""One list of codes; what the source does not say is null."""

_LIST: Final = "code_list"

TABLES: Final = (
    Declaration(
        name="consumer_types",
        frame=Frame(
            {_LIST: pl.String(), **CONSUMER_TYPES},
            key=(_LIST, *CONSUMER_TYPES.key),
            nullable=tuple(CONSUMER_TYPES.nullable),
            meaning={_LIST: "name of the list of codes", **CONSUMER_TYPES.meaning},
        ),
    ),
)
"""The table of consumer types."""


def write(settings: Settings, frame: pl.DataFrame, *, code_list: str) -> bool:
    """Make ``frame`` (CONSUMER_TYPES) all that is known of a list of codes; return whether that is new.

    Raises:
        InvalidArgument: If there is no row, a code is missing or comes twice.
        StorageError: If the store cannot be written now.
    """
    if frame.is_empty():
        raise InvalidArgument(f"the code list {code_list} has no code", code_list=code_list)
    checked = checks.strict_frame(frame.match_to_schema(CONSUMER_TYPES), CONSUMER_TYPES)
    rows = checked.with_columns(pl.lit(code_list).alias(_LIST))
    return keyed.replace(TABLES[0].table(settings), rows, key={_LIST: code_list})


def read(settings: Settings, *, code_list: str) -> pl.DataFrame:
    """Return CONSUMER_TYPES of a list of codes, sorted by code; no row if it was never fetched.

    Raises:
        StorageError: If the store cannot be read now.
    """
    found = TABLES[0].table(settings).collect(lambda rows: rows.filter(pl.col(_LIST) == code_list))
    return found.select(CONSUMER_TYPES.names()).sort("consumer_type")
