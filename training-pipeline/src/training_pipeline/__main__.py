"""The pipeline from a shell: ``python -m training_pipeline train --help``."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from forecast_core.contracts.arguments import FORECAST_FROM
from forecast_core.program import run_step, with_hyphens
from training_pipeline import best_config, hyperparameter_tuning, promotion, train


def main(arguments: Sequence[str] | None = None, *, step: str | None = None) -> int:
    """Run one step: its JSON result goes to stdout, an error as one line to stderr; return the exit code.

    Args:
        arguments: As on the command line, which is the default.
        step: The step, if ``arguments`` do not begin with it.
    """
    given = with_hyphens(sys.argv[1:] if arguments is None else arguments)
    options = vars(_parser().parse_args([step, *given] if step else given))
    if "reference_datetime" in options and options["step"] in (promotion.promote, promotion.rollback):
        # A person's decision holds from now on.
        options["reference_datetime"] = options["reference_datetime"] or datetime.now(UTC)
    return run_step(options.pop("step"), options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training_pipeline", description=__doc__)
    steps = parser.add_subparsers(required=True, metavar="STEP")
    tune = steps.add_parser("tune", help="search the configuration that forecasts a training dataset best")
    tune.set_defaults(step=hyperparameter_tuning.run)
    tune.add_argument("--trials", metavar="N", help="trials to complete (default: ML_PIPELINE_TUNING_TRIALS, 20)")
    tune.add_argument("--timeout", metavar="SECONDS", help="begin no trial after this (default: 3600)")
    upload = steps.add_parser("upload-best-config", help="keep the best configuration of a search for training")
    upload.set_defaults(step=best_config.upload)
    upload.add_argument("--sweep-id", metavar="ID", help="as tune printed it (default: the last one)")
    fit = steps.add_parser("train", help="train, compare with the seasonal naive forecast, register")
    fit.set_defaults(step=train.from_best_config)
    fit.add_argument("--retrain", metavar="POLICY", help="every_run (default), 'every N hours' or on_alarm")
    promote = steps.add_parser("promote", help="make the recipe of a model version the champion, whatever a test says")
    promote.set_defaults(step=promotion.promote)
    promote.add_argument("--model-version", required=True, metavar="N")
    back = steps.add_parser("rollback", help="make the champion before the present one the champion again")
    back.set_defaults(step=promotion.rollback)
    history = steps.add_parser("promotions", help="show what was decided about the champion, latest last")
    history.set_defaults(step=promotion.promotions)
    for each in (back, history):
        each.add_argument("--feature-view-version", metavar="N", help="default: that of the newest training dataset")
        each.add_argument("--fh", default=24, metavar="HOURS", help="horizon (default: 24)")
    for each in (promote, back):
        each.add_argument("--reason", default="by hand", help="kept with the decision")
        each.add_argument(
            "--reference", dest="reference_datetime", metavar="TIME", help="from when on it holds (default: now)"
        )
    for each in (tune, fit):
        each.add_argument("--fh", default=24, metavar="HOURS", help="hours to forecast (default: 24)")
        each.add_argument("--feature-view-version", metavar="N", help="default: that of the training dataset")
        each.add_argument("--training-dataset-version", metavar="N", help="default: the one created last")
        each.add_argument(
            "--reference",
            dest="reference_datetime",
            metavar="TIME",
            help="default: for which the dataset was created",
        )
        each.add_argument(
            "--forecast-from",
            default=FORECAST_FROM[0],
            choices=FORECAST_FROM,
            help="the first hour to forecast (default: %(default)s)",
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
