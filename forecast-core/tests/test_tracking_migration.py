"""A root folder of version 1.0.0: its decisions and searches are kept, and it may be copied and moved."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from forecast_core import stores, tracking
from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT
from forecast_core.tracking import Decisions, Promotion, Searches, search_as_json

AT = datetime(2023, 2, 1, 12, tzinfo=UTC)
FOUND = {"trees": 50}
RESULT = {
    "sweep_id": "s1",
    "trials": 3,
    "pruned": 1,
    "folds": 2,
    "held_out": 4,
    "default_value": 0.7,
    "best_value": 0.6,
    "best_config": FOUND,
    "metrics": {"wape": 0.1, "rmae24": None},
    "fh": 24,
    "gap": 0,
    "feature_view_version": 1,
    "training_dataset_version": 2,
    "window_end": f"{AT - timedelta(days=1):{DATETIME_FORMAT}}",
    "reference_datetime": f"{AT:{DATETIME_FORMAT}}",
}


def finished_run(settings: Settings, name: str, tags: dict[str, str], more: dict[str, str] | None = None) -> None:
    run_id = tracking.start_run(settings, name=name, tags=tags)
    tracking.finish_run(settings, run_id, reference_datetime=AT, tags=more or {})


def older_decision(settings: Settings, at: datetime, **facts: Any) -> None:
    """Record a decision as version 1.0.0 did."""
    content = {
        "at": at.isoformat(),
        "candidate": facts["config"],
        "test": {},
        "model_version": None,
        "code_version": "1",
    }
    tags = {"artifact": "promotion", "feature_view_version": "1", "fh": "24", "decision": json.dumps(facts)}
    finished_run(settings, "decision", tags, {"content": json.dumps({**content, **facts}, sort_keys=True)})


@pytest.fixture
def older(settings: Settings) -> Settings:
    """A root of version 1.0.0: a search, its promotion, a rollback and a promotion by hand at the same time."""
    finished_run(settings, "sweep", {"artifact": "sweep", "sweep_id": "s1"}, {"result": json.dumps(RESULT)})
    tags = {"artifact": "best_config", "sweep_id": "s1", "fh": "24", "feature_view_version": "1"}
    finished_run(settings, "best config", tags, {"result": json.dumps(RESULT)})
    by_run = {"action": "promote", "config": FOUND, "source": "best_config from sweep s1", "reason": "not worse"}
    older_decision(settings, AT, **by_run, by="run")
    later = AT + timedelta(hours=2)
    older_decision(settings, later, action="rollback", config=None, source="default", reason="low", by="person")
    by_hand = {"action": "promote", "config": {"trees": 9}, "source": "model version 1", "reason": "steady"}
    older_decision(settings, later, **by_hand, by="person")
    return settings


def champions(settings: Settings) -> list[Any]:
    found = [
        tracking.champion(settings, feature_view_version=1, reference_datetime=AT + timedelta(hours=hour))
        for hour in range(-1, 4)
    ]
    return [None if each is None else each.config for each in found]


EXPECTED: list[Any] = [None, FOUND, FOUND, FOUND, {"trees": 9}]


def by_person(at: datetime, **facts: Any) -> Promotion:
    given: dict[str, Any] = {"action": "promote", "config": {"trees": 7}, "candidate": {"trees": 7}, "source": "x"}
    given |= {"feature_view_version": 1, "fh": 24, "reason": "", "test": {}, "by": "person"}
    return Promotion(reference_datetime=at, **given | facts)


def test_decisions_and_searches_of_version_1_0_are_read_and_the_command_copies_them_once(older: Settings) -> None:
    before = champions(older)
    [search] = Searches(older).uploaded(feature_view_version=1, fh=24)
    assert search_as_json(search) == RESULT
    # Of two decisions at one time the one recorded last stands, as it did then.
    assert before[-1] == EXPECTED[-1]
    assert set(stores.migrate(older)) == {"promotions", "searches"}
    assert stores.migrate(older) == []
    shutil.rmtree(older.root / "mlflow.db", ignore_errors=True)
    (older.root / "mlflow.db").unlink(missing_ok=True)
    assert champions(older) == before
    assert Searches(older).found() == {"s1": search}
    # The search is decided on; no run decides on it again.
    assert tracking.reign_at(older, feature_view_version=1).undecided == []


def test_a_deployment_that_creates_empty_tables_and_a_first_write_keep_what_there_was(older: Settings) -> None:
    before = champions(older)
    stores.create(older)
    assert champions(older) == before
    Decisions(older).record(by_person(AT + timedelta(hours=9)))
    Searches(older).write(next(iter(Searches(older).found().values())), uploaded=True)
    (older.root / "mlflow.db").unlink()
    assert champions(older) == before
    assert len(Decisions(older).read(feature_view_version=1, fh=24)) == 4


def test_a_person_decides_once_at_a_time_and_the_same_again_changes_nothing(settings: Settings) -> None:
    book = Decisions(settings)
    first = book.record(by_person(AT))
    assert book.record(by_person(AT)) == first
    with pytest.raises(InvalidArgument, match=r"a person has decided already \(promote to x: \)"):
        book.record(by_person(AT, config={"trees": 8}))
    assert book.read(feature_view_version=1, fh=24) == [first]


def registered(settings: Settings, folder: Path, content: str) -> int:
    folder.mkdir()
    (folder / "model.json").write_text(content)
    run_id = tracking.start_run(settings, name="train", tags={"content": content})
    source = tracking.log_files(settings, run_id, folder, folder="model")
    tracking.finish_run(settings, run_id, reference_datetime=AT)
    return tracking.register_model(settings, run_id=run_id, source=source, tags={})


def elsewhere(settings: Settings, root: Path) -> Settings:
    return settings.model_copy(update={"root_dir": root, "tracking_uri": f"sqlite:///{root / 'mlflow.db'}?timeout=1"})


def content(settings: Settings, version: int) -> tuple[Path, str]:
    folder = tracking.download_model(settings, tracking.model_version(settings, version))
    return folder, (folder / "model.json").read_text()


def test_a_moved_root_finds_its_models_and_a_copied_one_uses_and_writes_its_own(
    settings: Settings, tmp_path: Path
) -> None:
    version = registered(settings, tmp_path / "a", "first")
    copied = elsewhere(settings, shutil.copytree(settings.root, tmp_path / "copied root"))
    folder, _ = content(copied, version)
    assert folder.is_relative_to(copied.root)
    (content(settings, version)[0] / "model.json").write_text("changed in the original")
    assert content(copied, version)[1] == "first"
    newer = registered(copied, tmp_path / "b", "second")
    assert content(copied, newer)[0].is_relative_to(copied.root)
    assert str(copied.root.name) not in str(settings.artifacts)
    shutil.rmtree(settings.root)
    moved = elsewhere(settings, copied.root.rename(tmp_path / "moved"))
    assert [content(moved, each)[1] for each in (version, newer)] == ["first", "second"]


def test_a_run_that_was_left_in_the_original_is_not_taken_up_in_a_copy(settings: Settings, tmp_path: Path) -> None:
    left = tracking.start_run(settings, name="work", tags={"work": "1"})
    copied = elsewhere(settings, shutil.copytree(settings.root, tmp_path / "copied"))
    assert tracking.start_run(copied, name="work", tags={"work": "1"}) != left
    assert tracking.start_run(settings, name="work", tags={"work": "1"}) == left
