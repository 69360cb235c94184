"""Each rule, violated alone: warnings or error, what is stored, what is in quarantine, the result pages."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from feature_pipeline import datasets, demo
from feature_pipeline.validation import Verdict, expectations, validate
from forecast_core.contracts.errors import ValidationError
from forecast_core.contracts.schema import HOUR as ONE_HOUR
from forecast_core.contracts.schema import UTC_HOUR
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore
from forecast_core.quarantine import Quarantine

DAYS = 12
END = datetime.fromisoformat("2022-05-20T00:00Z")
WINDOW = Window(END - timedelta(days=DAYS), END)
KINDS = ("111", "421", "310")
DATASET = replace(datasets.DEMO, name="small", areas=("DK1",), consumer_types=KINDS)
HOUR, VALUE, KIND = pl.col("datetime_utc"), pl.col("energy_consumption"), pl.col("consumer_type")
AT = END - timedelta(days=3, hours=12)
FIRST = pl.int_range(pl.len()) == 0
Check = Callable[..., Verdict]


@pytest.fixture(scope="module")
def clean() -> pl.DataFrame:
    rows = demo.observations(WINDOW.start, WINDOW.end, known_at=WINDOW.end + timedelta(days=60))
    rows = rows.filter(pl.col("area") == "DK1", KIND.is_in(KINDS))
    assert rows.height == len(KINDS) * WINDOW.hours
    return rows


@pytest.fixture
def check(settings: Settings) -> Check:
    def run(rows: pl.DataFrame, known_at: datetime = END) -> Verdict:
        return validate(
            rows,
            WINDOW,
            dataset=DATASET,
            feature_group_version=1,
            reference_datetime=known_at,
            name=f"{known_at:%Y-%m-%dT%H}",
            settings=settings,
        )

    return run


def changed(rows: pl.DataFrame, when: pl.Expr, value: pl.Expr, column: str = "energy_consumption") -> pl.DataFrame:
    return rows.with_columns(pl.when(when).then(value).otherwise(column).alias(column))


def at(hours: int = 1) -> pl.Expr:
    return (KIND == "421") & HOUR.is_between(AT, AT + timedelta(hours=hours), closed="left")


def kept(settings: Settings) -> pl.DataFrame:
    return Quarantine(settings).read(dataset="small")


def test_clean_data_break_nothing_and_leave_nothing_in_quarantine(
    clean: pl.DataFrame, check: Check, settings: Settings
) -> None:
    verdict = check(clean)
    assert (verdict.counts, verdict.warnings, verdict.quarantined) == ({}, [], 0)
    assert json.loads(Path(verdict.result).read_text())["success"] is True
    assert "Every expectation is met" in Path(verdict.page).read_text()
    assert not (Path(settings.store) / "quarantine").exists()


ERRORS: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "missing_area": lambda rows: changed(rows, FIRST, pl.lit(None, pl.String), "area"),
    "missing_consumer_type": lambda rows: changed(rows, FIRST, pl.lit(None, pl.String), "consumer_type"),
    "missing_datetime_utc": lambda rows: changed(rows, FIRST, pl.lit(None, UTC_HOUR), "datetime_utc"),
    "missing_energy_consumption": lambda rows: changed(rows, FIRST, pl.lit(None, pl.Float64)),
    "known_area": lambda rows: changed(rows, KIND == "421", pl.lit("DK9"), "area"),
    "known_consumer_type": lambda rows: changed(rows, KIND == "421", pl.lit("777"), "consumer_type"),
    "full_hour": lambda rows: changed(rows, FIRST, HOUR + timedelta(minutes=5), "datetime_utc"),
    "inside_window": lambda rows: changed(rows, FIRST, HOUR - timedelta(hours=1), "datetime_utc"),
    "unique_key": lambda rows: pl.concat([rows, rows.head(1).with_columns(VALUE + 1)]),
    "negative": lambda rows: changed(rows, FIRST, pl.lit(-1.0)),
    "range": lambda rows: changed(rows, FIRST, pl.lit(1e8)),
}


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_stops_and_keeps_the_rows_that_fail(
    name: str, clean: pl.DataFrame, check: Check, settings: Settings
) -> None:
    rows = ERRORS[name](clean)
    with pytest.raises(ValidationError, match=r"^1 validation rule failed, nothing was stored: ") as caught:
        check(rows)
    errors = kept(settings).filter(pl.col("severity") == "error")
    assert set(errors["expectation"]) == {name}
    step = "release" if name in expectations.RELEASABLE else "list"
    command = f"`python -m feature_pipeline quarantine {step} --dataset small --reference 2022-05-20T00:00"
    assert command in str(caught.value)
    assert len(f"ValidationError: {caught.value}") <= 500
    given = rows.join(errors, on=expectations_row(), how="semi", nulls_equal=True)
    assert given.height == errors.height


def expectations_row() -> list[str]:
    return ["area", "consumer_type", "datetime_utc", "energy_consumption"]


WARNINGS: dict[str, tuple[Callable[[pl.DataFrame], pl.DataFrame], int]] = {
    "flat_line": (lambda rows: changed(rows, at(4), pl.lit(80_000.0)), 2),
    "zero": (lambda rows: changed(rows, at(2), pl.lit(0.0)), 2),
    "spike": (lambda rows: changed(rows, at(), VALUE * 3), 1),
    "level_shift": (lambda rows: changed(rows, (KIND == "421") & (AT <= HOUR), VALUE * 2.5), 1),
    "incomplete": (lambda rows: rows.filter(~at(3)), 1),
    "fresh": (lambda rows: rows.filter(END - timedelta(hours=2) > HOUR), 1),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_a_warning_is_told_counted_and_kept(name: str, clean: pl.DataFrame, check: Check, settings: Settings) -> None:
    damage, count = WARNINGS[name]
    verdict = check(damage(clean))
    # Without its last hours, every series is incomplete too.
    others = {"incomplete": 3} if name == "fresh" else {}
    if name == "level_shift":
        others = {"spike": verdict.counts.get("spike", 0)} if "spike" in verdict.counts else {}
    assert verdict.counts == {name: count, **others}
    assert len(verdict.warnings) == len(verdict.counts) - ("incomplete" in verdict.counts)
    rows = kept(settings).filter(pl.col("expectation") == name)
    assert rows.height == (0 if name == "fresh" else count)
    assert set(rows["severity"]) <= {"warning"}
    assert json.loads(Path(verdict.result).read_text())["success"] is False


def ingest(rows: pl.DataFrame, settings: Settings) -> None:
    FeatureStore(settings).ingest(
        rows,
        dataset="small",
        feature_group_version=1,
        window=WINDOW,
        reference_datetime=END - ONE_HOUR,
        url="test",
        record={},
    )


def test_a_series_that_vanished_and_a_new_one_are_told(clean: pl.DataFrame, check: Check, settings: Settings) -> None:
    ingest(clean.filter(KIND != "310"), settings)
    verdict = check(clean.filter(KIND != "421"))
    assert verdict.counts == {"incomplete": 1, "new_series": 1, "vanished": 1}
    rows = kept(settings).filter(pl.col("expectation") != "incomplete")
    assert rows.select("consumer_type", "expectation").rows() == [("310", "new_series"), ("421", "vanished")]
    assert any("DK1/421: it had values before and has none now" in line for line in verdict.warnings)


def test_what_the_run_itself_stored_is_still_new_when_it_runs_again(
    clean: pl.DataFrame, check: Check, settings: Settings
) -> None:
    ingest(clean.filter(KIND != "310"), settings)
    first = check(clean)
    FeatureStore(settings).ingest(
        clean, dataset="small", feature_group_version=1, window=WINDOW, reference_datetime=END, url="test", record={}
    )
    assert check(clean) == first
    assert first.counts == {"new_series": 1}


def test_the_same_again_keeps_the_same_and_mended_data_clear_it(
    clean: pl.DataFrame, check: Check, settings: Settings
) -> None:
    spiky = changed(clean, at(), VALUE * 3)
    assert check(spiky) == check(spiky)
    assert kept(settings).height == 1
    check(changed(clean, at(), VALUE * 4), known_at=END + ONE_HOUR)
    assert kept(settings)["known_at"].n_unique() == 2
    check(clean)
    assert kept(settings)["known_at"].to_list() == [END + ONE_HOUR]


def test_the_window_decides_how_fresh_data_must_be() -> None:
    late = replace(DATASET, days_late=1)
    names = [each.name for each in expectations.suite(late, WINDOW, reference_datetime=END)]
    assert "fresh" in names
    never = replace(DATASET, days_late=DAYS)
    assert "fresh" not in [each.name for each in expectations.suite(never, WINDOW, reference_datetime=END)]


@pytest.mark.parametrize(("hours", "text"), [(1, "1 hour"), (5, "5 hours"), (26, "26 hours"), (194, "194 hours")])
def test_a_late_source_is_told_by_how_many_hours(clean: pl.DataFrame, check: Check, hours: int, text: str) -> None:
    # The class of the fault: a finding that says that something is late, and not by how much.
    newest = END - timedelta(hours=1 + hours)
    [line] = [each for each in check(clean.filter(newest >= HOUR)).warnings if "newest hour" in each]
    due = END - timedelta(hours=1)
    assert f"the newest hour must be {due:%Y-%m-%d %H:%M} or later" in line
    assert line.endswith(f"it is {newest:%Y-%m-%d %H:%M}, {text} older")


def test_every_expectation_has_a_test() -> None:
    names = {each.name for each in expectations.suite(DATASET, WINDOW, reference_datetime=END)}
    structure = {"columns", "type_area", "type_consumer_type", "type_energy_consumption"}
    assert names - structure == {*ERRORS, *WARNINGS, "vanished", "new_series", "factor", "restated"}


def test_a_wrong_type_has_no_rows_to_keep_and_says_so(clean: pl.DataFrame, check: Check, settings: Settings) -> None:
    with pytest.raises(ValidationError, match=r"energy_consumption must be of type float64.*no row is in quarantine"):
        check(clean.with_columns(VALUE.cast(pl.Int64)))
    assert kept(settings).is_empty()


def test_no_page_refers_to_the_network(clean: pl.DataFrame, check: Check) -> None:
    verdict = check(changed(clean, at(), VALUE * 3))
    pages = [Path(verdict.page), Path(verdict.page).parent / "index.html"]
    for page in pages:
        text = page.read_text()
        assert not re.search(r"(?i)https?:|src=|@import|url\(|<script", text), page
        for link in re.findall(r'href="([^"#]+)"', text):
            assert (page.parent / link).exists(), (page, link)


def test_a_page_shows_the_finding_and_the_index_the_run(clean: pl.DataFrame, check: Check) -> None:
    verdict = check(changed(clean, at(), VALUE * 3))
    assert "DK1/421 at 2022-05-16 12:00" in Path(verdict.page).read_text()
    assert "values must be null" in Path(verdict.page).read_text()
    check(clean, known_at=END + ONE_HOUR)
    index = (Path(verdict.page).parent / "index.html").read_text()
    assert re.findall(r'href="([^"]+)"', index) == ["2022-05-20T01.html", "2022-05-20T00.html"]
    assert "stored with warnings" in index
    assert "spike 1" in index


def test_names_from_the_source_cannot_run_on_a_page(clean: pl.DataFrame, check: Check, settings: Settings) -> None:
    with pytest.raises(ValidationError):
        check(changed(clean, KIND == "421", pl.lit("<script>alert(1)</script>"), "area"))
    (page,) = settings.root.rglob("2022-05-20T00.html")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;/421 at" in page.read_text()
    # Great Expectations does not escape everything, so the page itself forbids scripts and every other source.
    assert "default-src 'none'" in page.read_text()
