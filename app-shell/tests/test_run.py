"""`energy run`: the DAG's steps without the DAG."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from forecast_core.archive import ForecastArchive
from forecast_core.contracts.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[2]
DAG = REPOSITORY / "airflow" / "dags" / "ml_pipeline_dag.py"
STEPS = REPOSITORY / "app-shell" / "src" / "app_shell" / "steps.py"
ORCHESTRATION = {"settings", "dag_run_id"}


def calls(path: Path) -> dict[str, list[tuple[str, dict[str, str]]]]:
    """Which functions each step of a file calls, and with what, read off its source."""
    steps = {}
    for function in ast.parse(path.read_text()).body:
        if isinstance(function, ast.FunctionDef):
            modules = {
                alias.name: node.module
                for node in function.body
                if isinstance(node, ast.ImportFrom)
                for alias in node.names
            }
            steps[function.name.strip("_")] = [
                (f"{modules[root]}.{ast.unparse(node.func)}", arguments_of(node))
                for node in ast.walk(function)
                if isinstance(node, ast.Call) and (root := ast.unparse(node.func).split(".")[0]) in modules
            ]
    return {name: [call for call in found if call[1]] for name, found in steps.items() if found}


def arguments_of(call: ast.Call) -> dict[str, str]:
    arguments = {str(each.arg): ast.unparse(each.value) for each in call.keywords}
    return {name: value for name, value in arguments.items() if name not in ORCHESTRATION}


def test_the_shell_calls_what_the_dag_calls_with_the_same_arguments() -> None:
    of_dag = {name: found for name, found in calls(DAG).items() if name in calls(STEPS)}
    assert calls(STEPS) == of_dag
    assert len(of_dag) == 7


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
        (["run", "--export", "many"], 2, "'--export': Input should be a valid integer"),
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
