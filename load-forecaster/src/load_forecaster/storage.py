"""The on-disk form of a forecaster: JSON, LightGBM text and plain arrays. Loading runs no code of its author.

model.json    format_version, fh, gap, config, members, calibration
ridge.npz     coefficients
years.npz     arrays of the member of years; its series are in model.json
trees.txt     LightGBM model text
"""

import json
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from load_forecaster.blend import Members
from load_forecaster.config import ForecasterConfig
from load_forecaster.errors import FormatError, NotFoundError
from load_forecaster.intervals import Calibration
from load_forecaster.members.ridge import Ridge
from load_forecaster.members.trees import Trees
from load_forecaster.members.years import Years
from load_forecaster.model import Forecaster

FORMAT_VERSION = 5
MODEL, RIDGE, TREES, YEARS = "model.json", "ridge.npz", "trees-{}.txt", "years.npz"
ARRAYS = ("centre", "spread", "directions", "scale", "coefficients")


class CalibrationFields(TypedDict):
    """A ``Calibration`` as model.json has it; ``share`` has (area, consumer type, share) of each series."""

    share: list[tuple[str, str, float]]
    typical_share: float
    lead: list[float]
    scores: list[float]


def save(forecaster: Forecaster, directory: Path) -> None:
    """Write a forecaster into ``directory``, which is made if absent; ``load`` gives back the same."""
    directory.mkdir(parents=True, exist_ok=True)
    members = forecaster.members
    if members.ridge is not None:
        np.savez(directory / RIDGE, coefficients=members.ridge.coefficients)
    if members.trees is not None:
        for bag, text in enumerate(members.trees.texts):
            (directory / TREES.format(bag)).write_text(text, encoding="utf-8")
    if members.years is not None:
        np.savez(directory / YEARS, **{name: getattr(members.years, name) for name in ARRAYS})
    document = {
        "format_version": FORMAT_VERSION,
        "fh": forecaster.fh,
        "gap": forecaster.gap,
        "config": forecaster.config.to_dict(),
        "members": [name for name in ("ridge", "trees", "years") if getattr(members, name) is not None],
        "years_series": [list(key) for key in members.years.series] if members.years is not None else [],
        "calibration": calibration_to_dict(forecaster.calibration),
    }
    (directory / MODEL).write_text(json.dumps(document, indent=1), encoding="utf-8")


def load(directory: Path) -> Forecaster:
    """Return the forecaster in ``directory``; it predicts what the saved one did, to the last bit.

    Raises:
        NotFoundError: If there is no forecaster.
        FormatError: If it was written by an unknown version, or is damaged.
    """
    if not (directory / MODEL).is_file():
        raise NotFoundError(f"no forecaster in {directory}: expected a file {MODEL}", directory=str(directory))
    try:
        document = json.loads((directory / MODEL).read_text(encoding="utf-8"))
        version = document["format_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{directory / MODEL} is not a forecaster's description: {error!r}") from error
    if version != FORMAT_VERSION:
        raise FormatError(
            f"{directory} has format version {version!r}, this software reads {FORMAT_VERSION}: "
            "use the version that wrote it, or train again",
            format_version=version,
        )
    try:
        return _forecaster(document, directory)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(f"the forecaster in {directory} is damaged: {error!r}; train again") from error


def _forecaster(document: dict[str, Any], directory: Path) -> Forecaster:
    ridge = trees = years = None
    if "ridge" in document["members"]:
        with np.load(directory / RIDGE, allow_pickle=False) as arrays:
            ridge = Ridge(arrays["coefficients"])
    if "trees" in document["members"]:
        bags = range(document["config"]["bags"])
        trees = Trees(tuple((directory / TREES.format(bag)).read_text(encoding="utf-8") for bag in bags))
    if "years" in document["members"]:
        series = tuple((area, kind) for area, kind in document["years_series"])
        with np.load(directory / YEARS, allow_pickle=False) as arrays:
            years = Years(series, **{name: arrays[name] for name in ARRAYS})
    return Forecaster(
        fh=document["fh"],
        gap=document["gap"],
        config=ForecasterConfig.from_dict(document["config"]),
        members=Members(ridge, trees, years),
        calibration=calibration_from_dict(document["calibration"]),
    )


def calibration_to_dict(calibration: Calibration) -> CalibrationFields:
    """Return the calibration as JSON can hold it."""
    return {
        "share": [(*key, value) for key, value in calibration.share.items()],
        "typical_share": calibration.typical_share,
        "lead": list(calibration.lead),
        "scores": list(calibration.scores),
    }


def calibration_from_dict(values: CalibrationFields) -> Calibration:
    """Return the calibration that ``calibration_to_dict`` wrote."""
    return Calibration(
        share={(area, kind): value for area, kind, value in values["share"]},
        typical_share=values["typical_share"],
        lead=tuple(values["lead"]),
        scores=tuple(values["scores"]),
    )
