"""`energy status`, `energy doctor`, `energy lineage` in a healthy and in a broken system."""

import json
import shutil
import socketserver
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xmlrpc.server import SimpleXMLRPCDispatcher, SimpleXMLRPCRequestHandler

import polars as pl
import pytest

from feature_pipeline import pipeline
from forecast_core import tracking
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT

REFERENCE = datetime(2024, 3, 31, 5, tzinfo=UTC)


@pytest.fixture
def supervised(energy_copy: Any) -> Iterator[tuple[Any, dict[str, str]]]:
    """A system whose root folder has a process manager, as supervisord speaks; its processes' states can be set."""
    root = Path(energy_copy.variables["ML_PIPELINE_ROOT_DIR"])
    states = {"index": "RUNNING", "scheduler": "RUNNING"}
    path = root / "s.sock"
    (root / "supervisord.conf").write_text(
        f"[supervisorctl]\nserverurl=unix://{path}\n[program:x]\ncommand=a %% b\nk=1\nk=2\n"
    )
    dispatcher = SimpleXMLRPCDispatcher(allow_none=True)
    told = lambda: [{"name": name, "statename": state, "start": 1} for name, state in states.items()]  # noqa: E731
    dispatcher.register_function(told, "supervisor.getAllProcessInfo")

    class Handler(SimpleXMLRPCRequestHandler):
        disable_nagle_algorithm = False

        def log_request(self, *_: Any) -> None: ...

    class Server(socketserver.UnixStreamServer, SimpleXMLRPCDispatcher):
        funcs, instance, encoding, allow_none, use_builtin_types = dispatcher.funcs, None, "utf-8", True, False

    with Server(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield energy_copy, states
        server.shutdown()
        thread.join()


def test_status_says_how_old_data_and_forecasts_are(energy: Any) -> None:
    now = REFERENCE + timedelta(hours=1, minutes=30)
    state = json.loads(energy("status", "--json", now=now).stdout)
    [data] = state["data"]
    assert (data["last_hour"], data["age_hours"], data["series"]) == ("2024-03-30 04:00", 25.5, 3)
    assert state["last_run"]["age_hours"] == 1.5
    assert not state["last_run"]["late"]
    assert (state["last_run"]["forecasts"], state["last_run"]["dag_run_id"]) == (72, None)
    assert (state["model"]["version"], state["model"]["configuration"]) == (1, "default")
    assert state["open_alarms"] == []
    assert state["processes"] is None


def test_a_run_that_is_due_is_called_late(energy: Any) -> None:
    text = " ".join(energy("status", now=REFERENCE + timedelta(hours=3)).stdout.split())
    assert "3 h ago (late: a run is due every hour)" in text


def test_status_of_an_empty_root_says_what_is_not_there_yet(empty: Any) -> None:
    text = empty("status").stdout
    for words in ("nothing ingested yet", "none yet: `energy run`", "not running in this root folder"):
        assert words in text


def test_status_names_the_stacks_processes(supervised: tuple[Any, dict[str, str]]) -> None:
    energy, states = supervised
    states["scheduler"] = "FATAL"
    assert "scheduler fatal" in energy("status").stdout


@pytest.mark.parametrize("width", [80, 120])
def test_pages_fit_the_terminal(energy: Any, width: int) -> None:
    for page in ("status", "doctor"):
        assert max(map(len, energy(page, width=width).stdout.splitlines())) <= width


def found(energy: Any, *, code: int = 0) -> dict[str, Any]:
    return {each["name"]: each for each in json.loads(energy("doctor", "--json", code=code).stdout)}


def test_doctor_finds_nothing_wrong_where_nothing_is(energy: Any) -> None:
    checks = found(energy)
    assert {each["state"] for each in checks.values()} <= {"ok", "skipped", "warning"}
    assert checks["libgomp"]["state"] == checks["store"]["state"] == checks["tracking database"]["state"] == "ok"
    assert checks["versions"]["found"].endswith("installed, nothing deployed")


def test_doctor_says_what_to_do_where_nothing_was_run(empty: Any) -> None:
    assert "energy run" in found(empty)["forecasts"]["advice"]


def test_doctor_fails_where_the_database_does_not_answer(energy: Any) -> None:
    check = found(energy.on(ML_PIPELINE_TRACKING_URI="postgresql://nobody:secret@127.0.0.1:9/none"), code=1)
    assert check["tracking database"]["state"] == "failed"
    assert "secret" not in check["tracking database"]["found"]


def test_doctor_names_a_stopped_process_and_a_port_that_does_not_answer(
    supervised: tuple[Any, dict[str, str]],
) -> None:
    energy, states = supervised
    checks = found(energy.on(ML_PIPELINE_INDEX_PORT="9", ML_PIPELINE_AIRFLOW_PORT="9"), code=1)
    assert checks["port of index"]["found"] == "9 does not answer"
    states["scheduler"] = "EXITED"
    assert found(energy, code=1)["stack"]["found"] == "not running: scheduler"


def test_doctor_sees_that_what_is_installed_is_not_what_is_deployed(energy_copy: Any) -> None:
    deployed = Path(energy_copy.variables["ML_PIPELINE_ROOT_DIR"]) / "deployed"
    deployed.mkdir()
    (deployed / "variables.json").write_text('{"ml_pipeline_version": "9.9.9"}')
    check = found(energy_copy)["versions"]
    assert (check["state"], "9.9.9 deployed" in check["found"]) == ("warning", True)


def test_lineage_leads_from_the_newest_forecast_to_its_source(energy: Any, source: str) -> None:
    text = energy("lineage", "DK1", "121").stdout
    assert text.startswith("forecast DK1/121 of 2024-03-30 05:00 UTC")
    facts = json.loads(energy("lineage", "DK1", "121", "--json").stdout)
    assert facts["ingests"]["latest"][0]["url"] == source


def test_lineage_made_again_is_the_same_and_an_altered_archive_is_not(energy_copy: Any) -> None:
    assert "made again: identical" in energy_copy("lineage", "DK1", "121", "--recreate").stdout
    shutil.rmtree(Path(energy_copy.variables["ML_PIPELINE_ROOT_DIR"]) / "store" / "training_dataset_files")
    gone = energy_copy("lineage", "DK1", "121", "--recreate", code=1)
    assert "made again: DIFFERENT" in gone.stdout


def test_models_are_listed_with_their_skill_and_the_default_is_champion_at_first(energy: Any) -> None:
    [version] = json.loads(energy("models", "--json").stdout)["versions"]
    assert (version["version"], version["configuration"]) == (1, "default")
    assert 0 < version["wape"] < version["naive_wape"]
    assert "the shipped default" in energy("models").stdout


def test_a_person_promotes_and_rolls_back_and_the_reason_is_kept(energy_copy: Any) -> None:
    said = energy_copy("promote", "1", "--reason", "steadier at night", "--yes").stdout
    assert "champion of feature view 1: model version 1" in said
    assert "steadier at night" in energy_copy("models", width=120).stdout
    back = json.loads(energy_copy("rollback", "--json", "--yes", now=REFERENCE + timedelta(hours=1)).stdout)
    assert (back["action"], back["source"], back["by"]) == ("rollback", "default", "person")
    after = energy_copy("models", "--json", now=REFERENCE + timedelta(hours=1)).stdout
    assert json.loads(after)["champion"] is None


def test_what_cannot_be_promoted_or_rolled_back_says_why(energy: Any, empty: Any) -> None:
    assert "there is no model version 9; registered: 1" in energy("promote", "9", code=1).stderr
    assert "the shipped default" in energy("rollback", code=1).stderr
    assert "`energy run` trains one" in empty("models").stdout


def test_status_shows_the_model_that_forecasts_now_and_not_that_of_a_backfill_or_another_view(energy_copy: Any) -> None:
    settings = Settings(root_dir=Path(energy_copy.variables["ML_PIPELINE_ROOT_DIR"]))
    for reference, view in ((REFERENCE - timedelta(days=3), "1"), (REFERENCE + timedelta(minutes=5), "2")):
        tags = {"reference_datetime": f"{reference:{DATETIME_FORMAT}}", "feature_view_version": view}
        run_id = tracking.start_run(settings, name="train", tags=tags)
        tracking.register_model(settings, run_id=run_id, source=settings.artifacts, tags=tags)
    model = json.loads(energy_copy("status", "--json").stdout)["model"]
    assert (model["version"], model["versions"]) == (1, 3)


@pytest.mark.parametrize("command", [["promote", "1"], ["rollback"], ["rollback", "--feature-view-version", "1"]])
def test_a_decision_says_for_which_view_and_what_changes_and_asks(energy_copy: Any, command: list[str]) -> None:
    """Class: a command that changes what every later run does took effect without a question, for a view not named."""
    if command[0] == "rollback":
        energy_copy("promote", "1", "--yes")
    now = REFERENCE + timedelta(hours=1)
    before = energy_copy("models", "--json", now=now).stdout
    [line] = energy_copy(*command, code=1, now=now).stderr.splitlines()
    assert "runs of feature view 1 (ConsumptionDE35Hour, feature group version 1) train with" in line
    assert "in place of" in line
    assert line.endswith("the input is no terminal; give --yes to do it")
    assert energy_copy("models", "--json", now=now).stdout == before


def test_corrected_values_that_a_repeated_run_did_not_take_are_told(energy_copy: Any, source: str) -> None:
    """A rerun keeps what is stored: the result, `status` and `forecast` must say so, and which run takes the values."""
    rows = pl.read_parquet(source)
    wrong = (pl.col("ConsumerType_DE35") == "111") & (pl.col("HourUTC") >= "2024-03-28")
    value = pl.when(wrong).then(pl.col("TotalCon") * 1.1).otherwise("TotalCon").alias("TotalCon")
    rows.with_columns(value).write_parquet(source_copy := str(Path(source).with_name("corrected.parquet")))
    root = Settings(root_dir=energy_copy.variables["ML_PIPELINE_ROOT_DIR"])
    result = pipeline.run(REFERENCE, 1, 16, source_copy, settings=root)
    count = result["not_taken"]
    assert count > 24
    told = f"{count} corrected values were not taken at 2024-03-31 05:00, because"
    for command in (["status"], ["forecast", "DK1", "111"]):
        text = " ".join(energy_copy(*command, width=200).stdout.split())
        assert told in text, command
        assert "a run at 2024-03-31 06:00 or later takes them" in text
    assert json.loads(energy_copy("forecast", "DK1", "111", "--json").stdout)["not_taken"] == count
