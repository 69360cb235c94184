"""The pipeline from a shell: ``python -m batch_prediction_pipeline predict --help``."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from batch_prediction_pipeline import batch, lineage, monitoring
from batch_prediction_pipeline.monitoring import watch, watched
from forecast_core.contracts.arguments import FORECAST_FROM
from forecast_core.program import run_step, with_hyphens


def main(arguments: Sequence[str] | None = None, *, step: str | None = None) -> int:
    """Run one step: its JSON result goes to stdout, an error as one line to stderr; return the exit code.

    Args:
        arguments: As on the command line, which is the default.
        step: The step, if ``arguments`` do not begin with it.
    """
    given = with_hyphens(sys.argv[1:] if arguments is None else arguments)
    options = vars(_parser().parse_args([step, *given] if step else given))
    function = options.pop("step")
    if function in (watch.check, watched.retire):
        options["now"] = options["now"] or datetime.now(UTC)
    if function is not lineage.of_forecast:
        return run_step(function, options)
    show = None if options.pop("json") else lineage.as_text
    return run_step(function, options, show=show, is_sound=lineage.is_same)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m batch_prediction_pipeline", description=__doc__)
    steps = parser.add_subparsers(required=True, metavar="STEP")
    predict = steps.add_parser("predict", help="forecast every series and archive the forecasts")
    predict.set_defaults(step=batch.predict)
    predict.add_argument("--fh", default=24, metavar="HOURS", help="hours to forecast (default: 24)")
    for name, meaning in (
        ("model-version", "default: the one trained last"),
        ("feature-view-version", "default: that of the model"),
        ("start-datetime", "first hour of the history (default: that of the last ingest)"),
        ("end-datetime", "first hour to forecast (default: the end of the last ingest)"),
    ):
        predict.add_argument(f"--{name}", help=meaning)
    predict.add_argument(
        "--reference",
        dest="reference_datetime",
        metavar="TIME",
        help="history as known at this time (default: that of the ingest)",
    )
    predict.add_argument("--forecast-from", choices=FORECAST_FROM, help="as given to training (default)")
    monitor = steps.add_parser("monitor", help="score the archived forecasts and raise alarms")
    monitor.set_defaults(step=monitoring.compute)
    monitor.add_argument("--feature-view-version", metavar="N", help="default: the view created last")
    monitor.add_argument(
        "--reference", dest="reference_datetime", metavar="TIME", help="default: that of the last ingest"
    )
    look = steps.add_parser(
        "watch", help="see whether forecasts, runs and data are there, and which alarms are to be told"
    )
    look.set_defaults(step=watch.check)
    look.add_argument("--now", metavar="TIME", help="default: now")
    retire = steps.add_parser("retire-view", help="stop looking after a feature view that is not to forecast any more")
    retire.set_defaults(step=watched.retire)
    retire.add_argument("--feature-view-version", required=True, metavar="N")
    retire.add_argument("--undo", action="store_true", help="look after it again")
    retire.add_argument("--now", metavar="TIME", help="default: now")
    trace = steps.add_parser("lineage", help="show what a forecast was made from, back to its source")
    trace.set_defaults(step=lineage.of_forecast)
    trace.add_argument("--area", required=True, help="e.g. DK1")
    trace.add_argument("--consumer-type", required=True, metavar="TYPE", help="e.g. 111")
    trace.add_argument("--hour", dest="datetime_utc", required=True, metavar="TIME", help="the hour that is forecast")
    trace.add_argument("--reference", dest="reference_datetime", required=True, metavar="TIME", help="when it was made")
    trace.add_argument("--feature-view-version", metavar="N", help="needed only where several have such a forecast")
    trace.add_argument("--recreate", action="store_true", help="make it again and compare; exit code 1 if it differs")
    trace.add_argument("--json", action="store_true", help="everything, as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
