"""The pipeline from a shell: ``python -m feature_pipeline run --help``."""

import argparse
import contextlib
import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import polars as pl

from feature_pipeline import changes, consumer_types, extract, feature_view, maintenance, pipeline, quarantine
from feature_pipeline.history import import_history
from forecast_core.contracts.arguments import check_begun, moment
from forecast_core.contracts.errors import ForecastingError
from forecast_core.contracts.window import floor_hour
from forecast_core.program import refused, run_step, with_hyphens


def main(arguments: Sequence[str] | None = None, *, step: str | None = None) -> int:
    """Run one step: its JSON result goes to stdout, an error as one line to stderr; return the exit code.

    Args:
        arguments: As on the command line, which is the default.
        step: The step, if ``arguments`` do not begin with it.
    """
    given = with_hyphens(sys.argv[1:] if arguments is None else arguments)
    options = vars(_parser().parse_args([step, *given] if step else given))
    if options["step"] is pipeline.run and not options.pop("allow_future"):
        try:
            at = moment("reference", options["export_end_reference_datetime"])
            check_begun(floor_hour(at), now=datetime.now(UTC))
        except ForecastingError as error:
            return refused(error)
    return run_step(options.pop("step"), options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m feature_pipeline", description=__doc__)
    steps = parser.add_subparsers(required=True, metavar="STEP")
    _add_run(steps.add_parser("run", help="extract, transform, validate and store a window of observations"))
    _add_view(steps.add_parser("create-feature-view", help="create the feature view and a training dataset of it"))
    _add_history(steps.add_parser("import-history", help="import a long window chunk by chunk; can be resumed"))
    migrate = steps.add_parser("migrate", help="bring all tables to the format of this version; after an upgrade")
    migrate.set_defaults(step=maintenance.migrate)
    maintain = steps.add_parser("maintain", help="compact and vacuum the tables; to be run once a day")
    maintain.set_defaults(step=maintenance.run)
    maintain.add_argument("--keep-days", default=7, metavar="N", help="days that files taken out of a table stay")
    _add_changes(steps.add_parser("changes", help="what came late or was restated between two times, by series"))
    types = steps.add_parser("fetch-consumer-types", help="fetch the names of the DE35 consumer types into the store")
    types.set_defaults(step=consumer_types.fetch)
    types.add_argument("--url", default="https://api.energidataservice.dk/dataset/Industrycodes_DE35")
    _add_fake(steps.add_parser("serve-fake", help="serve a fake of Energi Data Service on loopback until interrupted"))
    _add_quarantine(steps.add_parser("quarantine", help="list rows that fail a rule; release those that are right"))
    return parser


def _add_run(run: argparse.ArgumentParser) -> None:
    run.set_defaults(step=pipeline.run)
    # This file is the only place in this distribution where the clock is read.
    run.add_argument(
        "--reference",
        dest="export_end_reference_datetime",
        default=floor_hour(datetime.now(UTC)),
        metavar="TIME",
        help="reference time in UTC, e.g. 2023-02-04T16:00 (default: this hour)",
    )
    run.add_argument("--allow-future", action="store_true", help="take a reference time that is still to come")
    run.add_argument("--days-delay", default=15, metavar="N", help="days from the window's end to the reference time")
    run.add_argument("--days-export", default=30, metavar="N", help="days in the window")
    run.add_argument("--url", default="demo://denmark", help="demo://denmark, a .csv or .parquet file, or https://…")
    run.add_argument("--feature-group-version", default=1, metavar="N")


def _add_view(view: argparse.ArgumentParser) -> None:
    view.set_defaults(step=feature_view.create)
    view.add_argument("--feature-group-version", default=1, metavar="N")
    for name, meaning in (
        ("start-datetime", "first hour of the window"),
        ("end-datetime", "hour after the last of the window"),
        ("dataset", "name of the source's dataset"),
    ):
        view.add_argument(f"--{name}", help=f"{meaning} (default: that of the last ingest)")
    view.add_argument(
        "--reference",
        dest="reference_datetime",
        metavar="TIME",
        help="as known at this time (default: that of the last ingest)",
    )


def _add_history(history: argparse.ArgumentParser) -> None:
    history.set_defaults(step=import_history)
    history.add_argument("--url", required=True, help="as for run")
    history.add_argument("--from", dest="start_datetime", required=True, metavar="TIME", help="first hour, in UTC")
    history.add_argument("--to", dest="end_datetime", required=True, metavar="TIME", help="the hour after the last")
    history.add_argument(
        "--reference", dest="reference_datetime", required=True, metavar="TIME", help="when the values became known"
    )
    history.add_argument("--chunk-days", default=30, metavar="N", help="days that are asked for and stored at once")
    history.add_argument("--feature-group-version", default=1, metavar="N")


def _add_changes(changed: argparse.ArgumentParser) -> None:
    changed.set_defaults(step=changes.report)
    changed.add_argument("--dataset", required=True, help="name of the source's dataset")
    changed.add_argument("--from", dest="known_from", required=True, metavar="TIME", help="the earlier reference time")
    changed.add_argument("--to", dest="known_to", required=True, metavar="TIME", help="the later one")
    changed.add_argument("--feature-group-version", default=1, metavar="N")
    changed.add_argument("--start-datetime", metavar="TIME", help="first hour to compare (default: all)")
    changed.add_argument("--end-datetime", metavar="TIME", help="the hour after the last one")


def _add_fake(fake: argparse.ArgumentParser) -> None:
    fake.set_defaults(step=serve_fake)
    fake.add_argument("--port", type=int, default=8300)
    fake.add_argument("--file", help="parquet file in the columns of a dataset (default: the demo source)")
    fake.add_argument(
        "--seconds-between-requests", type=float, default=0.0, metavar="S", help="status 429 for requests sooner"
    )
    fake.add_argument("--page-cap", type=int, metavar="ROWS", help="largest number of rows in one answer")


def _add_quarantine(parser: argparse.ArgumentParser) -> None:
    steps = parser.add_subparsers(required=True, metavar="STEP")
    show = steps.add_parser("list", help="what is in quarantine, newest last: counts, and the first 200 rows")
    show.set_defaults(step=quarantine.show)
    show.add_argument("--dataset", help="only of this dataset")
    show.add_argument("--feature-group-version", metavar="N", help="only of this version")
    show.add_argument("--accepted", action="store_true", help="also what was released")
    release = steps.add_parser("release", help="release rows from one rule: the same values pass it in later runs")
    release.set_defaults(step=quarantine.release)
    release.add_argument("--dataset", required=True)
    release.add_argument("--feature-group-version", default=1, metavar="N")
    release.add_argument("--note", required=True, help="why the values are right")
    release.add_argument(
        "--when", dest="accepted_at", default=datetime.now(UTC), metavar="TIME", help="of the decision (default: now)"
    )
    for each in (show, release):
        each.add_argument("--reference", dest="reference_datetime", metavar="TIME", help="only of the run at this time")
        each.add_argument("--expectation", metavar="NAME", help="only rows that fail this rule")
        each.add_argument("--series", nargs="+", default=(), metavar="AREA/TYPE", help="only these series")
        each.add_argument("--from", dest="start_datetime", metavar="TIME", help="only hours from this one on")
        each.add_argument("--to", dest="end_datetime", metavar="TIME", help="only hours before this one")


def serve_fake(port: int, file: str | None, seconds_between_requests: float, page_cap: int | None) -> dict[str, int]:
    """Serve a file, or the demonstration's last 60 days as published by now, in the API's form."""
    from feature_pipeline.testing import EnergiDataService, demo_rows

    def published(now: datetime) -> pl.DataFrame:
        return demo_rows(floor_hour(now) - timedelta(days=60), floor_hour(now))(now)

    name = extract.dataset(file).name if file else "ConsumptionDE35Hour"
    service = EnergiDataService(
        {name: pl.read_parquet(file, glob=False) if file else published},
        now=lambda: datetime.now(UTC),
        page_cap=page_cap,
        seconds_between_requests=seconds_between_requests,
        port=port,
    )
    with service:
        logging.getLogger(__name__).info("serving %s; interrupt to stop", service.url(name))
        with contextlib.suppress(KeyboardInterrupt):
            service.wait()
    return {"requests": len(service.requests)}


if __name__ == "__main__":
    sys.exit(main())
