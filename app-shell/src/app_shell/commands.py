"""Commands and what they take; what they do is imported when they are called, so that help and completion are quick.

Long, because every command is here: most lines declare options and their help.
"""

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from app_shell import completion
from app_shell.ml_pipeline_steps import VARIABLES
from app_shell.program import (
    WRONG,
    AsJson,
    Commands,
    Yes,
    confirm,
    from_environment,
    log_to_stderr,
    read_settings,
    shell_of,
)

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Forecasts of hourly electricity consumption: make them, look at them, see where they come from.",
    epilog="Exit codes: 0 done; 1 what was asked for or given is wrong, or a check failed; 2 wrong usage; "
    "3 something cannot be reached now, try again; 130 interrupted. Settings: ML_PIPELINE_…, as in .env.default.",
)


Area = Annotated[str, typer.Argument(metavar="AREA", help="Price area, e.g. DK1.", autocompletion=completion.areas)]
ConsumerType = Annotated[
    str, typer.Argument(metavar="TYPE", help="Consumer type, e.g. 111.", autocompletion=completion.consumer_types)
]


def _show_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"energy {version('app-shell')}\n")
        raise typer.Exit


@app.callback()
def _energy(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


RunReference = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Reference time in UTC, e.g. 2024-03-31T05:00.", show_default="this hour"),
]
Url = Annotated[str, typer.Option(help="Source: demo://denmark, a .csv or .parquet file, or https://…/dataset/NAME.")]
DaysDelay = Annotated[int, typer.Option(metavar="DAYS", help="Days from the end of the data to the reference.")]
DaysExport = Annotated[int, typer.Option(metavar="DAYS", help="Days of data that the run sees.")]
FeatureGroup = Annotated[int, typer.Option(metavar="N", help="Another number starts the tables afresh.")]
ForecastFrom = Annotated[
    str,
    typer.Option(metavar="WHERE", help="last_observation: the hours after the data; reference_time: those to come."),
]
Retrain = Annotated[
    str | None,
    typer.Option(metavar="POLICY", help="every_run, 'every N hours' or on_alarm.", show_default="the setting"),
]
Tune = Annotated[bool, typer.Option("--tune", help="Search for a better configuration before training.")]
AllowFuture = Annotated[bool, typer.Option("--allow-future", help="Take a reference time that is still to come.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show the pipelines' log.")]


@app.command()
def run(
    context: typer.Context,
    reference: RunReference = None,
    url: Url = VARIABLES["url"],
    days_delay: DaysDelay = int(VARIABLES["days_delay"]),
    days_export: DaysExport = int(VARIABLES["days_export"]),
    feature_group_version: FeatureGroup = int(VARIABLES["feature_group_version"]),
    forecast_from: ForecastFrom = VARIABLES["forecast_from"],
    retrain: Retrain = None,
    tune: Tune = False,
    allow_future: AllowFuture = False,
    verbose: Verbose = False,
    _json: AsJson = False,
) -> None:
    """Run the seven steps in order, without Airflow: data, view, tuning if wanted, training, monitoring, forecasts."""
    from app_shell import run as running
    from forecast_core.contracts.arguments import check_begun, moment
    from forecast_core.contracts.window import floor_hour

    log_to_stderr(verbose=verbose)
    shell, settings = shell_of(context), read_settings()
    at = floor_hour(shell.now if reference is None else moment("reference", reference))
    if not allow_future:
        check_begun(at, now=shell.now)
    request = running.Request(
        reference_datetime=at,
        # A time that is given is a past one, as in a backfill.
        kind="manual" if reference is None else "backfill",
        variables={
            "days_delay": days_delay,
            "days_export": days_export,
            "url": url,
            "feature_group_version": feature_group_version,
            "should_run_hyperparameter_tuning": tune,
            "forecast_from": forecast_from,
            "retrain": retrain or "",
        },
    )
    shell.show(running.run(request, settings, running.progress()), running.summary)


FeatureView = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        autocompletion=completion.feature_views,
        help="Where several views have forecasts of that time.",
    ),
]


@app.command()
def forecast(
    context: typer.Context,
    area: Area,
    consumer_type: ConsumerType,
    reference: Annotated[
        str | None, typer.Option(metavar="TIME", help="When the forecasts were made.", show_default="the newest run")
    ] = None,
    feature_view_version: FeatureView = None,
    days: Annotated[int, typer.Option(metavar="DAYS", min=0, help="Days of observations before them.")] = 2,
    _json: AsJson = False,
) -> None:
    """Show the forecasts of a series, with intervals, beside what was observed: a plot and a table."""
    from app_shell.forecast import of_series
    from app_shell.forecast_drawing import drawn
    from forecast_core.contracts.arguments import moment

    shell, settings = shell_of(context), read_settings()
    facts = of_series(
        settings,
        area,
        consumer_type,
        reference_datetime=None if reference is None else moment("reference", reference),
        feature_view_version=feature_view_version,
        days=days,
        known_at=shell.now,
    )
    shell.show(facts, drawn)


@app.command()
def lineage(
    context: typer.Context,
    area: Area,
    consumer_type: ConsumerType,
    hour: Annotated[
        str | None, typer.Option(metavar="TIME", help="The hour that is forecast.", show_default="the run's first")
    ] = None,
    reference: Annotated[
        str | None, typer.Option(metavar="TIME", help="When the forecast was made.", show_default="the newest run")
    ] = None,
    feature_view_version: FeatureView = None,
    recreate: Annotated[
        bool, typer.Option("--recreate", help="Make its run again and compare; exit code 1 if anything differs.")
    ] = False,
    _json: AsJson = False,
) -> None:
    """Show what a forecast was made from: model, configuration, training dataset, observations, source and code."""
    from app_shell.forecast import forecasts_of
    from batch_prediction_pipeline import lineage as way_back
    from forecast_core.contracts.arguments import moment
    from forecast_core.provenance.find import find_run

    shell, settings = shell_of(context), read_settings()
    run_ = find_run(
        settings,
        reference_datetime=None if reference is None else moment("reference", reference),
        feature_view_version=feature_view_version,
        now=shell.now,
    )
    found = way_back.of_forecast(
        area,
        consumer_type,
        forecasts_of(settings, run_)["datetime_utc"][0] if hour is None else hour,
        run_["reference_datetime"],
        run_["feature_view_version"],
        recreate=recreate,
        settings=settings,
    )
    shell.show(found, lambda facts: way_back.as_text(facts).rstrip())
    if not way_back.is_same(found):
        raise typer.Exit(WRONG)


@app.command()
def status(context: typer.Context, _json: AsJson = False) -> None:
    """Show the state of the system: data and their age, last run, model, quarantine, open alarms, processes."""
    from app_shell.stack import Ports
    from app_shell.status import state
    from app_shell.status_drawing import drawn

    shell = shell_of(context)
    shell.show(state(read_settings(), from_environment(Ports), shell.now), drawn)


@app.command()
def doctor(context: typer.Context, _json: AsJson = False) -> None:
    """Check the set-up, and say how to mend what is wrong; exit code 1 if a check has failed."""
    from app_shell import doctor as checks
    from app_shell.stack import Ports

    shell = shell_of(context)
    found = checks.examine(read_settings(), from_environment(Ports), shell.now)
    shell.show(found, checks.drawn)
    if not checks.is_sound(found):
        raise typer.Exit(WRONG)


@app.command()
def models(
    context: typer.Context,
    last: Annotated[int, typer.Option(metavar="N", min=1, help="How many of the newest versions.")] = 10,
    _json: AsJson = False,
) -> None:
    """Show the model versions with their skill, the champion, and the decisions about it."""
    from app_shell import models as registry

    shell = shell_of(context)
    shell.show(registry.overview(read_settings(), last=last, now=shell.now), registry.drawn)


Reason = Annotated[str, typer.Option(help="Why; it is kept with the decision.")]


@app.command()
def promote(
    context: typer.Context,
    model_version: Annotated[
        int,
        typer.Argument(
            metavar="VERSION", autocompletion=completion.model_versions, help="As `energy models` lists it."
        ),
    ],
    reason: Reason = "by hand",
    yes: Yes = False,
    _json: AsJson = False,
) -> None:
    """Make the configuration of a model version the champion of its feature view from now on, without a test."""
    from app_shell import decisions
    from app_shell import models as registry
    from training_pipeline import promotion

    shell, settings = shell_of(context), read_settings()
    confirm(decisions.of_promotion(settings, model_version, now=shell.now), yes=yes)
    decision = promotion.promote(model_version, reference_datetime=shell.now, reason=reason, settings=settings)
    shell.show(decision, registry.decided)


@app.command()
def rollback(
    context: typer.Context,
    feature_view_version: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            autocompletion=completion.feature_views,
            help="Whose champion.",
            show_default="the newest training dataset's",
        ),
    ] = None,
    reason: Reason = "by hand",
    yes: Yes = False,
    _json: AsJson = False,
) -> None:
    """Make the previous champion of a feature view the champion again, from now on."""
    from app_shell import decisions
    from app_shell import models as registry
    from training_pipeline import promotion

    shell, settings = shell_of(context), read_settings()
    history = promotion.promotions(feature_view_version, reference_datetime=shell.now, settings=settings)
    view = history["feature_view_version"]
    if history["champion"] is not None:
        confirm(decisions.of_rollback(settings, view, now=shell.now), yes=yes)
    decision = promotion.rollback(view, reference_datetime=shell.now, reason=reason, settings=settings)
    shell.show(decision, registry.decided)


@app.command("remove-run")
def remove_run(
    context: typer.Context,
    reference: Annotated[str, typer.Option(metavar="TIME", help="Reference time of the run, in UTC.")],
    feature_view_version: Annotated[
        int | None,
        typer.Option(
            metavar="N", autocompletion=completion.feature_views, help="Where several views have a run of that time."
        ),
    ] = None,
    yes: Yes = False,
    _json: AsJson = False,
) -> None:
    """Remove the record of a run: its ingest, forecasts, explanations, metrics and alarms; decisions stay."""
    from app_shell import removal as words
    from forecast_core import run_removal as removal

    shell, settings = shell_of(context), read_settings()
    record = removal.record_of_run(settings, reference_datetime=reference, feature_view_version=feature_view_version)
    confirm(words.question(record), yes=yes)
    done = removal.remove_run(
        settings, reference_datetime=reference, feature_view_version=record["feature_view_version"]
    )
    shell.show(done, words.removed)
