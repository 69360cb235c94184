"""`energy run`: the DAG's steps without the DAG."""

import ast
import inspect
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from app_shell import ml_pipeline_steps
from app_shell.commands import app
from app_shell.ml_pipeline_steps import STEPS, TUNE, VARIABLES, Result, Variable
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.settings import Settings


def test_every_step_calls_a_function_that_takes_its_arguments_and_the_settings() -> None:
    for step in STEPS:
        module, name = step.function.split(":")
        parameters = inspect.signature(getattr(import_module(module), name)).parameters
        assert {*step.arguments, "settings"} <= set(parameters), step.name
        needed = {each.name for each in parameters.values() if each.default is each.empty}
        assert needed <= set(step.arguments), step.name
        assert module.split(".")[0] == step.distribution.replace("-", "_")


def test_every_step_takes_results_of_earlier_steps_that_have_them(energy: Any, source: str) -> None:
    results = json.loads(energy("run", "--url", source, "--delay", "1", "--export", "16", "--json").stdout)
    # A search would take a minute; its function says what it returns.
    results["run_hyperparameter_tuning"] = {"sweep_id": "as documented"}
    for place, step in enumerate(STEPS):
        for taken in [*step.arguments.values(), TUNE]:
            if isinstance(taken, Result) and taken is not TUNE:
                assert taken.step in [earlier.name for earlier in STEPS[:place]]
                assert taken.key in results[taken.step]
    assert isinstance(results[TUNE.step][TUNE.key], bool)


def test_every_variable_is_an_argument_and_an_option_of_the_command() -> None:
    taken = {each.name for step in STEPS for each in step.arguments.values() if isinstance(each, Variable)}
    assert taken == set(VARIABLES)
    command = get_command(app)
    assert isinstance(command, TyperGroup)
    options = {each.name for each in command.commands["run"].params}
    others = {"should_run_hyperparameter_tuning": "tune"}
    assert {others.get(name, name) for name in VARIABLES} <= options


def test_the_module_of_the_steps_needs_the_standard_library_alone() -> None:
    imported = {
        node.module.split(".")[0]
        for node in ast.walk(ast.parse(inspect.getsource(ml_pipeline_steps)))
        if isinstance(node, ast.ImportFrom) and node.module
    }
    assert imported <= set(sys.stdlib_module_names)


def test_a_run_says_each_step_and_what_came_of_it(first: tuple[Any, str]) -> None:
    said = first[1]
    steps = [line.split()[-1] for line in said.splitlines() if " s  " in line]
    assert steps == [
        "run_feature_pipeline",
        "create_feature_view",
        "train_from_best_config",
        "compute_monitoring",
        "batch_predict",
    ]
    for words in (
        "3 series",
        "version 1 on training dataset 1",
        "seasonal naive",
        "72 of 3 series",
        "energy forecast DK1",
    ):
        assert words in " ".join(said.split())


def test_the_same_run_again_gives_the_same_versions_as_json(energy: Any, source: str) -> None:
    result = energy("run", "--url", source, "--delay", "1", "--export", "16", "--json")
    results = json.loads(result.stdout)
    assert list(results) == [
        "run_feature_pipeline",
        "create_feature_view",
        "train_from_best_config",
        "compute_monitoring",
        "batch_predict",
    ]
    assert results["train_from_best_config"]["model_version"] == 1
    assert results["batch_predict"]["reference_datetime"] == "2024-03-31 05:00"
    settings = Settings(root_dir=Path(energy.variables["ML_PIPELINE_ROOT_DIR"]))
    assert ForecastArchive(settings).read().height == 72


def test_a_reference_time_given_is_the_runs(energy_copy: Any, source: str) -> None:
    options = ["--url", source, "--reference", "2024-03-30T06:10", "--delay", "1", "--export", "14", "--json"]
    given = json.loads(energy_copy("run", *options).stdout)
    assert given["run_feature_pipeline"]["reference_datetime"] == "2024-03-30 06:00"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "--reference", "soon"], 1, "reference must be a time"),
        (["run", "--url", "nonsense://nowhere"], 1, "unknown scheme nonsense://"),
        (["run", "--export", "0"], 1, "days_export must be at least 1, not 0"),
        (["run", "--export", "many"], 2, "'--days-export': Input should be a valid integer"),
        (["rum"], 2, "No such command"),
    ],
)
def test_the_exit_code_tells_a_wrong_argument_from_wrong_usage(
    empty: Any, arguments: list[str], code: int, words: str
) -> None:
    result = empty(*arguments, code=code)
    assert words in " ".join(result.stderr.split())
    assert result.stdout == ""
    if code == 1:
        assert [line.startswith("error: ") for line in result.stderr.splitlines() if "  " not in line] == [True]


def test_a_database_that_does_not_answer_is_an_exit_code_of_its_own(energy: Any) -> None:
    silent = energy.on(ML_PIPELINE_TRACKING_URI="postgresql://nobody@127.0.0.1:9/none")
    result = silent("lineage", "DK1", "111", code=3)
    assert result.stderr.startswith("error: the tracking database postgresql")
    assert json.loads(silent("lineage", "DK1", "111", "--json", code=3).stderr)["try_again"] is True


def test_an_error_is_json_where_the_result_would_be(empty: Any) -> None:
    result = empty("run", "--url", "nonsense://nowhere", "--json", code=1)
    error = json.loads(result.stderr)
    assert (error["error"], error["try_again"]) == ("SourceError", False)


def test_a_setting_that_cannot_be_is_named(empty: Any) -> None:
    wrong = empty.on(ML_PIPELINE_THREADS="none")
    assert "error: ML_PIPELINE_THREADS is 'none', but" in wrong("run", code=1).stderr


AS_SHIPPED = """
import sys
from typing import Any
{source}
sys.path.insert(0, sys.argv[1])
print(call("our_pipeline.step:run", {{"hours": 3}}))
"""

OUR_PIPELINE = """
import logging
def run(hours):
    logging.getLogger("our_pipeline.step").info("trial 1 of %d", hours)
    logging.getLogger("our_pipeline.step").debug("a detail")
    logging.getLogger("forecast_core.tables.delta").info("committed")
    logging.getLogger("some_library").info("noise")
    logging.getLogger("some_library").warning("deprecated")
    return {"hours": hours}
"""


def test_what_a_step_logs_is_in_the_output_of_its_task_and_a_librarys_chatter_is_not(tmp_path: Path) -> None:
    """A task's process had no log set up, so that a search ran for minutes without a line."""
    package = tmp_path / "our_pipeline"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "step.py").write_text(OUR_PIPELINE)
    # Airflow ships the source of the function alone.
    program = AS_SHIPPED.format(source=inspect.getsource(ml_pipeline_steps.call))
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "{'hours': 3}\n"
    assert done.stderr.splitlines() == [
        "INFO our_pipeline.step: trial 1 of 3",
        "INFO forecast_core.tables.delta: committed",
        "WARNING some_library: deprecated",
    ]


def test_a_log_that_is_set_up_already_stays_as_it_is(tmp_path: Path) -> None:
    package = tmp_path / "our_pipeline"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "step.py").write_text(OUR_PIPELINE)
    set_up = "import logging; logging.basicConfig(level=logging.ERROR)"
    program = set_up + AS_SHIPPED.format(source=inspect.getsource(ml_pipeline_steps.call))
    command = [sys.executable, "-c", program, str(tmp_path)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stderr == ""
