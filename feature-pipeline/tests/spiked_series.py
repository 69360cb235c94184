"""A program: print the flags of four series, each with a spike of two hours, in a window of the demonstration."""

import sys
from datetime import UTC, datetime, timedelta

import polars as pl

from feature_pipeline import demo
from feature_pipeline.datasets import DEMO
from feature_pipeline.de35 import SERIES_DE35
from feature_pipeline.validation.expectations import SHAPE, suite
from feature_pipeline.validation.restated import compared
from feature_pipeline.validation.tables import series_table, value_table
from forecast_core.contracts.window import Window
from forecast_core.quarantine import ACCEPTED

WINDOW = Window(datetime(2022, 5, 2, tzinfo=UTC), datetime(2022, 6, 1, tzinfo=UTC))
AT = datetime(2022, 5, 20, 9, tzinfo=UTC)


def main() -> None:
    """Spike one series at a time, so that each rule sees frames of few rows in many chunks."""
    clean = demo.observations(WINDOW.start, WINDOW.end, known_at=WINDOW.end + timedelta(days=60))
    rules = suite(DEMO, WINDOW, reference_datetime=WINDOW.end)
    hours = pl.col("datetime_utc").is_between(AT, AT + timedelta(hours=1))
    for area, kind in SERIES_DE35[:4]:
        hit = (pl.col("area") == area) & (pl.col("consumer_type") == kind) & hours
        spiked = clean.with_columns(
            pl.when(hit)
            .then(5 * pl.col("energy_consumption"))
            .otherwise("energy_consumption")
            .alias("energy_consumption")
        )
        table = value_table(spiked, WINDOW, expectations=rules, accepted=ACCEPTED.to_frame())
        series = (pl.col("area") == area) & (pl.col("consumer_type") == kind)
        known = clean.with_columns(pl.col("energy_consumption") * pl.when(series).then(1000.0).otherwise(1.01))
        series_table(
            spiked.filter(~hit),
            WINDOW,
            expected=DEMO.series,
            known=SERIES_DE35[2:],
            comparison=compared(spiked, known, accepted=ACCEPTED.to_frame()),
            accepted=ACCEPTED.to_frame(),
        )
        for name in SHAPE:
            for row in table.filter(hit, pl.col(name).is_not_null()).iter_rows(named=True):
                sys.stdout.write(f"{area}/{kind} {name} {row['datetime_utc']:%Y-%m-%d %H}\n")


main()
