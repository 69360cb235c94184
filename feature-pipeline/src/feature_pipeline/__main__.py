"""The pipeline from a shell: ``python -m feature_pipeline run --help``."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from feature_pipeline import feature_view, pipeline
from forecast_core.program import run_step
from forecast_core.window import floor_hour


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one step: its JSON result goes to stdout, an error as one line to stderr; return the exit code."""
    options = vars(_parser().parse_args(arguments))
    return run_step(options.pop("step"), options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m feature_pipeline", description=__doc__)
    steps = parser.add_subparsers(required=True, metavar="STEP")
    run = steps.add_parser("run", help="extract, transform, validate and store a window of observations")
    run.set_defaults(step=pipeline.run)
    # The only place in this distribution where the clock is read.
    run.add_argument(
        "--reference",
        dest="export_end_reference_datetime",
        default=floor_hour(datetime.now(UTC)),
        metavar="TIME",
        help="reference time in UTC, e.g. 2023-02-04T16:00 (default: this hour)",
    )
    run.add_argument("--days-delay", default=15, metavar="N", help="days from the window's end to the reference time")
    run.add_argument("--days-export", default=30, metavar="N", help="days in the window")
    run.add_argument("--url", default="demo://denmark", help="demo://denmark, a .csv or .parquet file, or https://…")
    run.add_argument("--feature-group-version", default=1, metavar="N")
    view = steps.add_parser("create-feature-view", help="create the feature view and a training dataset of it")
    view.set_defaults(step=feature_view.create)
    view.add_argument("--feature-group-version", default=1, metavar="N")
    for name, meaning in (
        ("start-datetime", "first hour of the window"),
        ("end-datetime", "hour after the last of the window"),
        ("reference-datetime", "as known at this time"),
        ("dataset", "name of the source's dataset"),
    ):
        view.add_argument(f"--{name}", help=f"{meaning} (default: that of the newest ingest)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
