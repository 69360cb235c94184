"""Any answer of a source leads to a clear error or a recorded warning, never to wrong data."""

from datetime import timedelta
from functools import partial
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from feature_pipeline import pipeline
from feature_pipeline.extract import energi_data_service
from feature_pipeline.testing import EnergiDataService, faults
from feature_pipeline.testing.faults import Fault, Records
from forecast_core.contracts.errors import ForecastingError, NotFoundError
from forecast_core.contracts.schema import KEY
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore

DATASET = "ConsumptionDE35Hour"


def first(**values: Any) -> Fault:
    return faults.records(lambda records: [{**records[0], **values}, *records[1:]])


def twice(records: Records) -> Records:
    return [*records, {**records[0], "TotalCon": 12}]


def half(records: Records) -> Records:
    return records[: len(records) // 3]


MALFORMED: dict[str, Fault] = {
    "truncated JSON": faults.truncated,
    "cut off": faults.cut_off,
    "HTML": faults.html(200),
    "HTML with an error": faults.html(502),
    "10 MB of one line": faults.one_line(10_000_000),
    "JSON of another form": faults.raw(b'{"records": "none"}'),
    "a missing column": faults.records(lambda records: [{"HourUTC": row["HourUTC"]} for row in records]),
    "a missing column in one row": faults.records(lambda records: [*records[:-1], {"TotalCon": 1}]),
    "a wrong type in the middle": faults.records(lambda records: [*records[:900], {**records[900], "TotalCon": "a"}]),
    "a truth value": first(TotalCon=True),
    "a list": first(TotalCon=[5]),
    "a time in another form": first(HourUTC="19/01/2023 16:00"),
    "an empty page": faults.records(lambda _: []),
    "a third of the rows": faults.records(half),
    "the same row with another value": faults.records(twice),
    "an hour not asked for": first(HourUTC="2024-01-01T00:00:00"),
    "a null": first(TotalCon=None),
    "a negative value": first(TotalCon=-5),
    "an unknown area": first(PriceArea="DK3"),
    "half an hour": first(HourUTC="2023-01-19T16:30:00"),
    "an endless number": first(TotalCon=10**309),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_answer_ends_in_an_error_or_a_warning_and_never_in_wrong_data(
    name: str, rows: pl.DataFrame, settings: Settings, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Failures that may pass are asked about five times; the waits in between need not be waited for here.
    monkeypatch.setattr(energi_data_service, "Patience", partial(energi_data_service.Patience, base_wait=0.001))
    reference = window.end + timedelta(days=15)
    with EnergiDataService({DATASET: rows}) as api:
        api.faults = [MALFORMED[name]] * 50
        try:
            result = pipeline.run(reference, 15, 1, api.url(DATASET), settings=settings)
        except ForecastingError:
            with pytest.raises(NotFoundError):
                read(settings, window, reference)
            return
        assert result["warnings"]
        found = read(settings, window, reference)
        api.faults = []
        truth = energi_data_service.extract(api.url(DATASET), window, settings=settings).frame
        assert found.height < truth.height
        assert_frame_equal(found, truth.join(found, on=KEY, how="semi").sort(KEY))


def read(settings: Settings, window: Window, known_at: Any) -> pl.DataFrame:
    return FeatureStore(settings).read(
        dataset=DATASET, feature_group_version=1, window=window, reference_datetime=known_at
    )
