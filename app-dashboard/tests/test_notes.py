"""What the page of forecasts says of a forecast that is not an ordinary one."""

import polars as pl
import pytest

from app_dashboard.screens.forecasts import notes


@pytest.mark.parametrize(
    ("qualities", "not_taken", "said"),
    [
        (["model"], None, []),
        (["model", "fallback: silent for 50 hours"], None, ["not forecast by the model: fallback: silent"]),
        (["model: 5 implausible hours left out"], None, ["not used: model: 5 implausible hours"]),
        (["model"], 1048, ["1,048 corrected values"]),
        (["model: 1 implausible hour left out", "fallback: no observation"], 2, ["by the model", "not used", "2 corr"]),
    ],
)
def test_the_page_says_how_a_forecast_was_made_and_what_it_did_not_use(
    qualities: list[str], not_taken: int | None, said: list[str]
) -> None:
    forecast = {} if not_taken is None else {"not_taken": not_taken}
    told = notes(forecast, pl.DataFrame({"quality": qualities}))
    assert len(told) == len(said)
    assert all(part in note for part, note in zip(said, told, strict=True))
