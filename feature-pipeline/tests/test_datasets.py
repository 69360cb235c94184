"""Datasets other than ConsumptionDE35Hour: each an entry, read from the API and from files by the same code."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from feature_pipeline import consumer_types, pipeline
from feature_pipeline.datasets import DATASETS, Dataset, OneArea, Parts
from feature_pipeline.de35 import CONSUMER_TYPES_DE35
from feature_pipeline.extract import Extraction, extract
from feature_pipeline.testing import EnergiDataService
from feature_pipeline.transform import transform
from forecast_core import consumer_types as stored_types
from forecast_core.contracts.errors import SourceError
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore

Archive = Callable[[pl.DataFrame], str]
WINDOW = Window(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 1, 6, tzinfo=UTC))


def text_hours(window: Window = WINDOW) -> pl.DataFrame:
    hours = pl.datetime_range(window.start, window.end, "1h", closed="left", eager=True)
    return pl.DataFrame({"HourUTC": hours.dt.strftime("%Y-%m-%dT%H:%M:%S")})


def danish(column: str) -> pl.Expr:
    """Return the same hours on the Danish clock in winter."""
    return pl.col(column).str.to_datetime().dt.offset_by("1h").dt.strftime("%Y-%m-%dT%H:%M:%S")


def from_api(name: str, rows: pl.DataFrame, settings: Settings, window: Window = WINDOW) -> Extraction:
    with EnergiDataService({name: rows}) as api:
        return extract(api.url(name), window, window.end, settings=settings)


@pytest.fixture
def groups() -> pl.DataFrame:
    kinds = pl.DataFrame({"DK36Code": ["A", "CA"], "DK36Title": ["Landbrug", "Føde"], "DK19Code": ["A", "C"]})
    hours = text_hours().rename({"HourUTC": "TimeUTC"}).with_columns(danish("TimeUTC").alias("TimeDK"))
    return hours.join(kinds, how="cross").with_columns((pl.int_range(pl.len()) + 0.1234).alias("Consumption_MWh"))


def test_a_dataset_in_megawatt_hours_without_areas_is_of_all_denmark_in_kilowatt_hours(
    groups: pl.DataFrame, settings: Settings, archive: Archive
) -> None:
    found = from_api("ConsumptionDK3619IndustryHour", groups, settings)
    observations = transform(found.frame)
    assert found.dataset.name == "ConsumptionDK3619IndustryHour"
    assert set(observations["area"]) == {"DK"}
    assert set(observations["consumer_type"]) == {"A", "CA"}
    assert sorted(observations["energy_consumption"]) == [pytest.approx(1000 * n + 123.4, abs=1e-9) for n in range(12)]
    from_file = extract(archive(groups), WINDOW, WINDOW.end, settings=settings)
    assert_frame_equal(transform(from_file.frame), observations)
    assert from_file.dataset == found.dataset


def test_the_older_name_and_columns_of_a_dataset_are_the_same_feature_group(
    groups: pl.DataFrame, settings: Settings, archive: Archive
) -> None:
    older = groups.rename({"TimeUTC": "HourUTC", "TimeDK": "HourDK"})
    new = from_api("ConsumptionDK3619IndustryHour", groups, settings)
    old = from_api("ConsumptionDK3619codehour", older, settings)
    in_file = extract(archive(older), WINDOW, WINDOW.end, settings=settings)
    for each in (old, in_file):
        assert each.dataset.name == new.dataset.name
        assert_frame_equal(transform(each.frame), transform(new.frame))


@pytest.fixture
def municipal() -> pl.DataFrame:
    """Every municipality and branch in every hour; the value is the municipality's number and a thousandth."""
    parts = DATASETS["ConsumptionIndustry"].area
    assert isinstance(parts, Parts)
    numbers = pl.DataFrame({"MunicipalityNo": [str(number) for number in parts.expected]})
    branches = pl.DataFrame({"Branche": ["Erhverv", "Offentligt", "Privat"]})
    value = pl.col("MunicipalityNo").cast(pl.Int64) + 0.001
    return (
        text_hours()
        .join(numbers, how="cross")
        .join(branches, how="cross")
        .with_columns(value.alias("ConsumptionkWh"), danish("HourUTC").alias("HourDK"))
    )


NAME = "ConsumptionIndustry"
ONE = (pl.col("MunicipalityNo") == "751") & (pl.col("Branche") == "Privat")
AT_THREE = pl.col("HourUTC") == "2026-03-01T03:00:00"


def test_municipalities_are_summed_to_the_price_areas_of_their_numbers(
    municipal: pl.DataFrame, settings: Settings
) -> None:
    found = from_api(NAME, municipal, settings)
    assert found.warnings == ()
    numbers = [int(number) for number in municipal["MunicipalityNo"].unique()]
    east, west = [n for n in numbers if n <= 400], [n for n in numbers if n >= 410]
    assert (len(east), len(west)) == (46, 52)
    sums = {(row["area"]): row["energy_consumption"] for row in found.frame.iter_rows(named=True)}
    assert sums == {"DK1": round(sum(west) + 0.052, 6), "DK2": round(sum(east) + 0.046, 6)}
    assert found.frame.height == 2 * 3 * 6


def test_the_sum_does_not_depend_on_the_order_of_the_rows(municipal: pl.DataFrame, archive: Archive) -> None:
    thirds = municipal.with_columns(pl.col("ConsumptionkWh") / 3)
    frames = [
        transform(
            extract(archive(thirds.sample(fraction=1, shuffle=True, seed=seed)), WINDOW, WINDOW.end, settings=s).frame
        )
        for seed, s in ((1, Settings()), (2, Settings()), (3, Settings()))
    ]
    assert frames[0].equals(frames[1])
    assert frames[0].equals(frames[2])


@pytest.mark.parametrize("how", ["absent", "null"])
def test_an_hour_whose_sum_would_lack_a_municipality_is_left_out_and_said(
    municipal: pl.DataFrame, settings: Settings, how: str
) -> None:
    late = ONE & AT_THREE
    value = pl.when(~late).then("ConsumptionkWh").alias("ConsumptionkWh")
    found = from_api(NAME, municipal.filter(~late) if how == "absent" else municipal.with_columns(value), settings)
    assert found.warnings == (
        "1 of 36 hourly sums are left out because parts are missing, the first DK1/Privat at "
        "2026-03-01 03:00: 51 of 52",
    )
    assert found.frame.height == 35
    assert found.frame.filter(pl.col("energy_consumption").is_null()).is_empty()


def test_a_municipality_without_any_row_is_a_warning(municipal: pl.DataFrame, settings: Settings) -> None:
    found = from_api(NAME, municipal.filter(~ONE), settings)
    assert found.warnings == ("DK1/Privat is a sum without 1 of 52 known values of MunicipalityNo: 751",)
    assert found.frame.height == 36


@pytest.mark.parametrize(
    ("number", "message"),
    [("405", "no known area: .405."), ("x1", "not whole numbers: .*x1"), (None, "not whole numbers: .None")],
)
def test_a_municipality_that_cannot_be_placed_is_refused(
    municipal: pl.DataFrame, settings: Settings, number: str | None, message: str
) -> None:
    named = pl.when(ONE).then(pl.lit(number)).otherwise("MunicipalityNo").alias("MunicipalityNo")
    with pytest.raises(SourceError, match=message):
        from_api(NAME, municipal.with_columns(named), settings)


def test_two_values_of_a_municipality_are_refused_and_twice_the_same_row_is_one(
    municipal: pl.DataFrame, settings: Settings
) -> None:
    again = municipal.filter(ONE & AT_THREE)
    plain = transform(from_api(NAME, municipal, settings).frame)
    assert_frame_equal(transform(from_api(NAME, pl.concat([municipal, again]), settings).frame), plain)
    other = again.with_columns(pl.col("ConsumptionkWh") + 1)
    with pytest.raises(SourceError, match=r"two different values .* 751, .* Privat, at 2026-03-01 03:00"):
        from_api(NAME, pl.concat([municipal, other]), settings)


def test_a_new_dataset_is_one_entry(settings: Settings, archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        DATASETS,
        "EIA930",
        Dataset(
            name="EIA930",
            time="datetime_utc",
            area=OneArea("US"),
            consumer_type="series",
            energy="demand_raw_mwh",
            kwh_per_unit=1000.0,
            maximum_kwh=500e6,
            days_late=1,
        ),
    )
    hours = pl.datetime_range(WINDOW.start, WINDOW.end, "1h", closed="left", eager=True)
    rows = pl.DataFrame({"datetime_utc": hours}).join(pl.DataFrame({"series": ["CISO", "ERCO"]}), how="cross")
    rows = rows.with_columns((20_000 + pl.int_range(pl.len())).alias("demand_raw_mwh"), pl.lit("okay").alias("quality"))
    reference = WINDOW.end + timedelta(hours=18)
    result = pipeline.run(
        reference, 0, 1, archive(rows), settings=settings.model_copy(update={"minimum_window_share": 0})
    )
    assert (result["dataset"], result["rows"], result["series"]) == ("EIA930", 12, 2)
    found = FeatureStore(settings).read(
        dataset="EIA930", feature_group_version=1, window=WINDOW, reference_datetime=reference
    )
    assert found.row(0) == ("US", "CISO", WINDOW.start, 20_000_000.0)


def test_a_file_in_the_columns_of_no_dataset_is_refused_with_those_of_the_nearest(
    archive: Archive, settings: Settings, municipal: pl.DataFrame
) -> None:
    with pytest.raises(
        SourceError, match=r"lacks the columns MunicipalityNo: .*dataset ConsumptionIndustry, or add an entry"
    ):
        extract(archive(municipal.drop("MunicipalityNo")), WINDOW, WINDOW.end, settings=settings)


@pytest.fixture
def codes() -> pl.DataFrame:
    """The table as the portal described it: codes of three digits, names padded with blanks."""
    return pl.DataFrame(
        {
            "ConsumerType_DE35": list(CONSUMER_TYPES_DE35),
            "DE35_DA": [f"Gruppe {code}   " for code in CONSUMER_TYPES_DE35],
            "DE35_UK": [f"Group {code}" for code in CONSUMER_TYPES_DE35],
            "ConsumerType_DE4": [f"{code[0]}00" for code in CONSUMER_TYPES_DE35],
            "DE4_DA": ["Handel, service m.v."] * 38,
            "DE4_UK": ["Trade, service etc."] * 38,
        }
    )


def test_the_names_of_consumer_types_are_fetched_into_the_store_once(codes: pl.DataFrame, settings: Settings) -> None:
    with EnergiDataService({"Industrycodes_DE35": codes}) as api:
        url = api.url("Industrycodes_DE35")
        first = consumer_types.fetch(url, settings=settings)
        assert json.loads(json.dumps(first)) == {"url": url, "codes": 38, "changed": True, "warnings": []}
        assert consumer_types.fetch(url, settings=settings)["changed"] is False
        api.datasets["Industrycodes_DE35"] = codes.head(37).drop("DE4_UK")
        assert consumer_types.fetch(url, settings=settings)["warnings"] == [
            "the source lacks the columns DE4_UK",
            "the source does not name the consumer types 999",
        ]
        api.datasets["Industrycodes_DE35"] = pl.DataFrame({"Code": ["1"]})
        with pytest.raises(SourceError, match="no rows with a ConsumerType_DE35"):
            consumer_types.fetch(url, settings=settings)
    names = stored_types.read(settings, code_list="DE35")
    assert names.row(0) == ("111", "Gruppe 111", "Group 111", "100", "Handel, service m.v.", None)
    assert names.height == 37
