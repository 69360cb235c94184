"""What drove a forecast: what each member adds to it, and each group of inputs to what the fitted members say."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl

from load_forecaster.contracts import checked
from load_forecaster.metrics import FloatArray
from load_forecaster.naive import long_frame
from load_forecaster.panel import Panel
from load_forecaster.schema import KEY, REASONS

Parts = Mapping[str, FloatArray]
"""What each name adds: [lead, series] in kWh."""

DECIMALS: Final = 3


def reasons(panel: Panel, *, members: Parts, features: Parts, gap: int = 0) -> pl.DataFrame:
    """Return REASONS of the hours that follow ``gap`` hours after the panel, sorted by key; zeros are left out."""
    kinds = {"feature": features, "member": members}
    columns = {
        f"{kind}/{name}": np.round(part, DECIMALS) for kind in kinds for name, part in sorted(kinds[kind].items())
    }
    wide = long_frame(panel, columns, gap=gap)
    rows = wide.unpivot(index=list(KEY), variable_name="part", value_name="value").filter(pl.col("value") != 0)
    halves = pl.col("part").str.split_exact("/", 1).struct.rename_fields(["kind", "name"])
    found = rows.sort(KEY, maintain_order=True).with_columns(halves).unnest("part")
    return checked(found, REASONS, name="reasons")
