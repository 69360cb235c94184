"""The distribution as a process: what an import costs, exit codes, time zones, full disks."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl

from feature_pipeline import pipeline
from forecast_core.contracts.settings import Settings

Archive = Callable[[pl.DataFrame], str]


def python(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ML_PIPELINE_")}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment | variables, capture_output=True, text=True, check=False)


def test_importing_the_pipeline_imports_neither_great_expectations_nor_pandas() -> None:
    code = (
        "import sys, feature_pipeline.__main__, feature_pipeline.validation, feature_pipeline.extract\n"
        "print(sorted({'great_expectations', 'pandas', 'scipy'} & set(sys.modules)))"
    )
    assert python("-c", code).stdout.strip() == "[]"


def test_validation_loads_no_library_of_rules_that_the_suite_does_not_have(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom feature_pipeline import pipeline\n"
        "result = pipeline.run('2023-02-04T16:00', 1, 8)\n"
        "print(sorted({'altair.vegalite', 'scipy.stats._stats_py', 'scipy.stats.distributions'} & set(sys.modules)))\n"
        "print('Every expectation is met' in open(result['validation_page']).read() or result['validation_warnings'])\n"
        # They are the real modules, as soon as somebody uses them.
        "from scipy import stats\nimport altair\n"
        "print(round(stats.norm.cdf(0.0), 3), altair.Chart.__name__)"
    )
    done = python("-c", code, ML_PIPELINE_ROOT_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    loaded, page, used = done.stdout.splitlines()
    assert (loaded, used) == ("[]", "0.5 Chart")
    assert page != "{}"


def test_a_run_from_a_shell_in_another_time_zone_gives_the_same(
    rows: pl.DataFrame, archive: Archive, settings: Settings, tmp_path: Path
) -> None:
    url = archive(rows)
    here = pipeline.run("2023-02-04T16:00", 15, 1, url, settings=settings)
    options = ["--reference", "2023-02-04T16:00", "--days-export", "1", "--url", url]
    root = tmp_path / "elsewhere"
    done = python("-m", "feature_pipeline", "run", *options, TZ="Europe/Copenhagen", ML_PIPELINE_ROOT_DIR=str(root))
    assert done.returncode == 0, done.stderr
    there = json.loads(done.stdout)
    assert there.pop("validation_result") == str(root / "store/validation/ConsumptionDE35Hour/2023-02-04T16.json")
    assert there.pop("validation_page") == str(root / "store/validation/ConsumptionDE35Hour/2023-02-04T16.html")
    assert there == {
        name: value for name, value in here.items() if name not in ("validation_result", "validation_page")
    }


def test_an_error_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    root = str(tmp_path)
    done = python("-m", "feature_pipeline", "run", "--url", "s3://bucket/x.csv", ML_PIPELINE_ROOT_DIR=root)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("SourceError: the source's url has the unknown scheme s3://")
    view = python("-m", "feature_pipeline", "create-feature-view", ML_PIPELINE_ROOT_DIR=root)
    assert view.returncode == 1
    assert "run the feature pipeline first" in view.stderr
