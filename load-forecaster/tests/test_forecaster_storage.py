import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import load_forecaster
from load_forecaster import DEFAULT, Forecaster, ForecasterConfig, testing
from load_forecaster.errors import FormatError, InvalidArgument, NotFoundError

END = datetime(2024, 2, 15, 7, tzinfo=UTC)
QUICK = ForecasterConfig(trees=15, learning_rate=0.2, day_decay=0.77, bags=2)


@pytest.fixture(scope="module")
def data() -> pl.DataFrame:
    rows = testing.observations(END - timedelta(days=14), END)
    return rows.filter(pl.col("consumer_type").is_in(["111", "121", "431"]))


@pytest.fixture(scope="module")
def model(data: pl.DataFrame) -> Forecaster:
    evaluation = load_forecaster.evaluate(data, end=END, fh=24, config=QUICK, threads=1, origins=2)
    return load_forecaster.fit(data, end=END, fh=24, config=QUICK, threads=1, calibration=evaluation.calibration)


@pytest.fixture
def saved(model: Forecaster, tmp_path: Path) -> Path:
    load_forecaster.save(model, tmp_path / "new" / "folder")
    return tmp_path / "new" / "folder"


def test_a_loaded_forecaster_predicts_what_the_saved_one_did_to_the_last_bit(
    model: Forecaster, saved: Path, data: pl.DataFrame
) -> None:
    loaded = load_forecaster.load(saved)
    assert loaded.config == model.config
    assert loaded.calibration == model.calibration
    assert_frame_equal(loaded.predict(data, end=END), model.predict(data, end=END), check_exact=True)


def test_saving_a_loaded_forecaster_writes_the_same_files(saved: Path, tmp_path: Path) -> None:
    load_forecaster.save(load_forecaster.load(saved), tmp_path / "again")
    assert {file.name: file.read_bytes() for file in saved.iterdir() if file.suffix != ".npz"} == {
        file.name: file.read_bytes() for file in (tmp_path / "again").iterdir() if file.suffix != ".npz"
    }


def test_a_saved_forecaster_is_json_text_and_plain_arrays(saved: Path) -> None:
    assert sorted(file.name for file in saved.iterdir()) == ["model.json", "ridge.npz", "trees-0.txt", "trees-1.txt"]
    json.loads((saved / "model.json").read_text())
    with np.load(saved / "ridge.npz", allow_pickle=False) as arrays:
        assert arrays["coefficients"].dtype == np.float64
    assert (saved / "trees-0.txt").read_text().startswith("tree\n")


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_forecaster_with_one_kind_of_member_is_saved_too(weight: float, data: pl.DataFrame, tmp_path: Path) -> None:
    config = replace(QUICK, trees_weight=weight)
    model = load_forecaster.fit(data, end=END, fh=24, config=config, threads=1)
    load_forecaster.save(model, tmp_path)
    loaded = load_forecaster.load(tmp_path)
    assert (loaded.members.ridge is None, loaded.members.trees is None) == (weight == 1, weight == 0)
    assert_frame_equal(loaded.predict(data, end=END), model.predict(data, end=END), check_exact=True)


def test_a_forecaster_of_fallbacks_only_is_saved_too(data: pl.DataFrame, tmp_path: Path) -> None:
    short = data.filter(pl.col("datetime_utc") >= END - timedelta(days=4))
    model = load_forecaster.fit(short, end=END, fh=24, config=QUICK, threads=1)
    load_forecaster.save(model, tmp_path)
    assert_frame_equal(load_forecaster.load(tmp_path).predict(short, end=END), model.predict(short, end=END))


def test_an_unknown_format_version_is_a_named_error(saved: Path) -> None:
    document = json.loads((saved / "model.json").read_text())
    (saved / "model.json").write_text(json.dumps(document | {"format_version": 99}))
    with pytest.raises(FormatError, match="format version 99, this software reads 5"):
        load_forecaster.load(saved)


@pytest.mark.parametrize("text", ["", "[]", "{}", "not json"])
def test_a_description_that_is_none_is_a_named_error(saved: Path, text: str) -> None:
    (saved / "model.json").write_text(text)
    with pytest.raises(FormatError, match=r"model\.json"):
        load_forecaster.load(saved)


@pytest.mark.parametrize("name", ["ridge.npz", "trees-1.txt"])
def test_a_missing_file_is_a_named_error(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(FormatError, match="damaged"):
        load_forecaster.load(saved)


def test_an_array_that_needs_pickle_is_refused(saved: Path) -> None:
    np.savez(saved / "ridge.npz", coefficients=np.array([{"code": "runs"}], dtype=object))
    with pytest.raises(FormatError, match="damaged"):
        load_forecaster.load(saved)


def test_no_forecaster_in_the_folder_is_a_named_error(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no forecaster in"):
        load_forecaster.load(tmp_path)


def test_a_configuration_survives_json() -> None:
    assert ForecasterConfig.from_dict(json.loads(json.dumps(QUICK.to_dict()))) == QUICK
    assert ForecasterConfig.from_dict({}) == DEFAULT


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tree": 5}, "unknown forecaster settings \\['tree'\\]"),
        ({"trees": 0}, "trees must be from 1 to 10000, not 0"),
        ({"trees": 5.5}, "trees must be a int"),
        ({"trees": True}, "trees must be a int"),
        ({"learning_rate": "fast"}, "learning_rate must be a float"),
        ({"learning_rate": float("nan")}, "learning_rate must be from"),
        ({"timezone": "Denmark/Nowhere"}, "not an IANA name"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused_and_says_why(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        ForecasterConfig.from_dict(values)
