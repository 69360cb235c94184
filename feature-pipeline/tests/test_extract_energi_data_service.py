"""The HTTP client with a server on loopback that behaves like the API, with and without faults."""

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from feature_pipeline.extract.energi_data_service import Patience, dataset_name, extract, user_agent
from feature_pipeline.extract.raw import Extraction
from feature_pipeline.testing import EnergiDataService, faults
from feature_pipeline.testing.faults import Fault, Records, proper
from feature_pipeline.transform import transform
from forecast_core.contracts.errors import SourceError, SourceUnavailable
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window

DATASET = "ConsumptionDE35Hour"
Read = Callable[..., Extraction]


@pytest.fixture
def api(rows: pl.DataFrame) -> Iterator[EnergiDataService]:
    with EnergiDataService({DATASET: rows}) as service:
        yield service


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def read(api: EnergiDataService, settings: Settings, window: Window, waits: list[float]) -> Read:
    """Extract the window from the fake; by default without a rate limit and with three attempts."""

    def extract_it(span: Window = window, *, settings: Settings = settings, **changes: Any) -> Extraction:
        patience = Patience(**{"attempts": 3, "base_wait": 0.01, "timeout": 600.0, "sleep": waits.append, **changes})
        return extract(api.url(DATASET), span, settings=settings, patience=patience)

    return extract_it


def offsets(api: EnergiDataService) -> list[str]:
    return [request.query["offset"] for request in api.requests]


def test_pages_are_read_until_a_short_one_and_give_all_rows(
    api: EnergiDataService, read: Read, rows: pl.DataFrame
) -> None:
    extraction = read(page=500)
    assert extraction.dataset.name == DATASET
    assert offsets(api) == ["0", "499", "998", "1497"]
    query = api.requests[0].query
    assert (query["timezone"], query["start"], query["end"]) == ("utc", "2023-01-19T16:00", "2023-01-20T16:00")
    observations = transform(extraction.frame)
    assert observations.height == extraction.frame.height == rows.height
    assert observations["energy_consumption"].sum() == rows["TotalCon"].sum()
    assert extraction.warnings == ()


def test_every_request_says_who_asks_and_in_which_version(api: EnergiDataService, read: Read) -> None:
    read(page=1000)
    assert {request.user_agent for request in api.requests} == {user_agent()}
    assert user_agent().startswith("energy-forecasting/1.")


def test_a_last_page_that_is_just_full_is_followed_by_one_of_a_single_known_row(
    api: EnergiDataService, read: Read, rows: pl.DataFrame
) -> None:
    assert read(page=rows.height).frame.height == rows.height
    assert offsets(api) == ["0", str(rows.height - 1)]


def test_a_source_that_grants_smaller_pages_than_asked_for_is_read_in_full(
    rows: pl.DataFrame, settings: Settings, window: Window
) -> None:
    with EnergiDataService({DATASET: rows}, page_cap=700) as capped:
        assert extract(capped.url(DATASET), window, settings=settings).frame.height == rows.height
        assert len(capped.requests) == 3
    with EnergiDataService({DATASET: rows}, page_cap=1) as capped, pytest.raises(SourceError, match="pages of one row"):
        extract(capped.url(DATASET), window, settings=settings)


DATE = "Sat, 04 Feb 2023 16:00:{:02} GMT"


@pytest.mark.parametrize(
    ("fault", "wait"),
    [
        (faults.rate_limited(7), 8.0),
        (faults.rate_limited(7, http_status=200), 8.0),
        (faults.rate_limited(7, headers={"Retry-After": "3"}), 4.0),
        (faults.rate_limited(7, headers={"Retry-After": DATE.format(30), "Date": DATE.format(10)}), 21.0),
        (faults.rate_limited(7, headers={"Retry-After": "soon"}), 8.0),
        (faults.error(429, "Rate limit is exceeded. Try again in 1 minute."), 61.0),
        (faults.error(429, "Slower!"), None),
        (faults.html(503, headers={"Retry-After": "5"}), 6.0),
        (faults.error(500, "oops"), None),
        (faults.error(500, "oops", http_status=200), None),
        (faults.html(503), None),
        (faults.html(200), None),
        (faults.truncated, None),
        (faults.cut_off, None),
        (faults.dropped, None),
        (faults.one_line(1_000_000), None),
    ],
    ids=[
        *("429", "429 in 200", "seconds in a header", "date in a header", "nonsense in a header", "minutes", "no time"),
        *("503 with a header", "500", "500 in 200", "html 503", "html 200", "truncated", "cut off", "dropped"),
        "a line",
    ],
)
def test_a_failure_that_passes_is_waited_out_as_the_source_asks(
    api: EnergiDataService, read: Read, waits: list[float], fault: Fault, wait: float | None
) -> None:
    api.faults = [proper, fault]
    assert_frame_equal(transform(read(page=1000).frame), transform(read().frame))
    assert len(waits) == 1
    assert wait is None or waits == [wait]


def test_an_answer_that_takes_too_long_is_asked_for_again(
    api: EnergiDataService, read: Read, waits: list[float]
) -> None:
    api.faults = [proper, faults.slow(1.0)]
    # On a busy machine the proper answers may take too long as well.
    assert_frame_equal(transform(read(page=1000, timeout=0.5, attempts=1000).frame), transform(read().frame))
    assert waits


def test_waits_without_advice_grow_and_are_not_the_same_twice(
    api: EnergiDataService, read: Read, waits: list[float]
) -> None:
    for _ in range(2):
        api.faults = [faults.error(500, "")] * 7
        read(attempts=8, base_wait=1.0)
    assert len(set(waits)) == 14
    assert all(wait <= 2**n for n, wait in enumerate(waits[:7]))


def test_a_source_that_keeps_failing_is_unavailable(api: EnergiDataService, read: Read) -> None:
    api.faults = [faults.error(500, "")] * 3
    with pytest.raises(SourceUnavailable, match=r"after 3 attempts \(last: status 500\)"):
        read()


def test_a_source_that_asks_for_too_long_a_wait_is_unavailable_at_once(
    api: EnergiDataService, read: Read, waits: list[float]
) -> None:
    api.faults = [faults.rate_limited(3600)]
    with pytest.raises(SourceUnavailable, match="asks to wait for 3601 s"):
        read()
    assert waits == []


def test_a_source_that_nobody_serves_is_unavailable(window: Window, settings: Settings, waits: list[float]) -> None:
    patience = Patience(attempts=2, sleep=waits.append)
    with pytest.raises(SourceUnavailable, match="does not answer"):
        extract(f"http://127.0.0.1:9/dataset/{DATASET}", window, settings=settings, patience=patience)


def change(**values: Any) -> Fault:
    """The proper answer with values of its row in the middle replaced."""

    def changed(records: Records) -> Records:
        middle = len(records) // 2
        return [*records[:middle], {**records[middle], **values}, *records[middle + 1 :]]

    return faults.records(changed)


def every(**values: Any) -> Fault:
    """The proper answer with values of all its rows replaced."""
    return faults.records(lambda records: [{**row, **values} for row in records])


def without(column: str) -> Fault:
    return faults.records(lambda records: [{k: v for k, v in row.items() if k != column} for row in records])


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (faults.error(404, "no such dataset"), "status 404.*no such dataset"),
        (faults.error(400, "bad start", http_status=200), "status 400.*bad start"),
        (faults.html(403), "status 403.*<html>"),
        (lambda _: faults.Reply(301, {"Location": "http://elsewhere/"}), "redirects to http://elsewhere/"),
        (faults.raw(b'{"hello": 1}'), "without records"),
        (faults.raw(b"[1, 2]"), "without records"),
        (faults.raw(b'{"records": {"HourUTC": 1}}'), "without records"),
        (faults.raw(b'{"records": [1, 2]}'), "not rows of named values"),
        (faults.raw(b'{"records": [{"TimeUTC": "2023-01-20T00:00:00"}]}'), "lacks the columns HourUTC"),
        (without("TotalCon"), "lacks the columns TotalCon"),
        (change(TotalCon="much"), "column TotalCon that cannot be read as a number .*'much'"),
        (change(TotalCon=True), "TotalCon that is neither text nor a number: True"),
        (change(TotalCon=[1]), r"TotalCon that is neither text nor a number: \[1\]"),
        (change(TotalCon=float("inf")), "TotalCon that cannot be read as a number"),
        (change(TotalCon=10**400), "TotalCon that cannot be read as a number"),
        (change(PriceArea={"id": 1}), "PriceArea that is neither text nor a number"),
    ],
)
def test_an_answer_in_another_form_is_refused_without_another_attempt(
    api: EnergiDataService, read: Read, waits: list[float], fault: Fault, message: str
) -> None:
    api.faults = [proper, fault]
    with pytest.raises(SourceError, match=message):
        read(page=1000)
    assert waits == []


def test_an_answer_of_ten_megabytes_is_not_read_beyond_what_rows_can_have(api: EnergiDataService, read: Read) -> None:
    api.faults = [faults.one_line(10_000_000)]
    with pytest.raises(SourceError, match=r"more than 1,000,000 bytes.*'xxx"):
        read(most_bytes=1_000_000)


def test_an_answer_that_drips_is_given_up(read: Read, waits: list[float]) -> None:
    with pytest.raises(SourceUnavailable, match="takes longer than -1 s"):
        read(longest_answer=-1.0)
    assert len(waits) == 2


def test_more_rows_than_a_window_can_have_are_refused(read: Read) -> None:
    with pytest.raises(SourceError, match="more than 700 rows; ask for a shorter window"):
        read(page=500, most_rows=700)


def test_text_integers_and_decimals_are_the_same_numbers(api: EnergiDataService, read: Read) -> None:
    expected = read().frame

    def mixed(records: Records) -> Records:
        kinds = (str, float, int)
        return [{**row, "TotalCon": kinds[n % 3](row["TotalCon"])} for n, row in enumerate(records)]

    api.faults = [faults.records(mixed)]
    assert_frame_equal(read().frame, expected)


@pytest.mark.parametrize("stamp", [1674226800, "20.01.2023 15:00"])
def test_an_answer_whose_times_have_another_form_is_refused(
    api: EnergiDataService, read: Read, stamp: int | str
) -> None:
    api.faults = [every(HourUTC=stamp)] * 10
    with pytest.raises(SourceError, match=rf"HourUTC is not a time .* first in row 1: '{stamp}'"):
        read()


def test_a_row_without_a_value_or_without_a_time_is_left_out_with_a_warning(api: EnergiDataService, read: Read) -> None:
    api.faults = [change(TotalCon=None)]
    extraction = read()
    assert extraction.frame.height == 1823
    assert extraction.warnings[0].startswith("1 row without a value, which counts as missing, the earliest DK")
    api.faults = [change(HourUTC="20.01.2023 15:00")]
    extraction = read()
    assert extraction.frame.height == 1823
    assert extraction.warnings[0].startswith("1 of 1,824 rows cannot be placed: HourUTC is not a time")


def test_a_bad_value_of_an_hour_that_was_not_asked_for_changes_nothing(api: EnergiDataService, read: Read) -> None:
    api.faults = [change(HourUTC="2020-01-01T00:00:00", TotalCon="much")]
    extraction = read()
    assert extraction.frame.height == 1823
    (warning,) = extraction.warnings
    assert warning.startswith("1 of 1824 rows are for hours that were not asked for")


def first_answer_again() -> Fault:
    """A server that ignores the offset: it repeats its answer to the first request."""
    sent: list[faults.Reply] = []

    def repeated(reply: faults.Reply) -> faults.Reply:
        sent.append(reply)
        return sent[0]

    return repeated


def test_a_page_that_comes_twice_is_noticed_and_all_are_read_anew(
    api: EnergiDataService, read: Read, rows: pl.DataFrame
) -> None:
    api.faults = [first_answer_again()] * 2
    assert read(page=500).frame.height == rows.height
    assert offsets(api) == ["0", "499", "0", "499", "998", "1497"]


def test_a_source_that_ignores_the_offset_is_never_stored(api: EnergiDataService, read: Read) -> None:
    api.faults = [first_answer_again()] * 4
    with pytest.raises(SourceUnavailable, match=r"do not fit together, 2 times.*does not begin with the last row"):
        read(page=500)


def test_a_page_in_another_order_is_noticed(api: EnergiDataService, read: Read, rows: pl.DataFrame) -> None:
    # The first row is where it belongs; after it come rows that another page had, in the place of others.
    def other_order(records: Records) -> Records:
        moved = [{**row, "HourUTC": "2023-01-19T16:00:00"} for row in records[1:3]]
        return [records[0], *moved, *records[3:]]

    api.faults = [proper, faults.records(lambda records: records[::-1])]
    assert read(page=500).frame.height == rows.height
    assert len(api.requests) == 6
    api.faults = [proper, faults.records(other_order)] * 2
    with pytest.raises(SourceUnavailable, match="page 2 has 2 keys of an earlier page"):
        read(page=500)


def test_rows_that_appear_or_go_while_pages_are_read_shift_none_out(
    api: EnergiDataService, read: Read, rows: pl.DataFrame
) -> None:
    def publish(frame: pl.DataFrame) -> Fault:
        def after_this(reply: faults.Reply) -> faults.Reply:
            api.datasets[DATASET] = frame
            return reply

        return after_this

    # The last row is of the first hour: it stands on the first page, and shifts all others.
    for before, after in ((rows.head(-1), rows), (rows, rows.head(-1))):
        api.datasets[DATASET] = before
        api.faults = [publish(after)]
        found = read(page=500).frame
        assert_frame_equal(transform(found), transform(read().frame))
        assert found.height == after.height


def test_an_empty_answer_in_the_middle_is_noticed(api: EnergiDataService, read: Read, rows: pl.DataFrame) -> None:
    api.faults = [proper, faults.records(lambda _: [])]
    assert read(page=500).frame.height == rows.height


def test_rows_for_hours_that_were_not_asked_for_are_left_out_and_said(api: EnergiDataService, read: Read) -> None:
    api.faults = [change(HourUTC="2023-03-01T00:00:00")]
    extraction = read()
    assert extraction.frame.height == 76 * 24 - 1
    assert extraction.warnings == (
        "1 of 1824 rows are for hours that were not asked for, from 2023-03-01 00:00 to 2023-03-01 00:00; "
        "they were left out",
    )


def test_an_answer_to_another_question_is_refused(api: EnergiDataService, read: Read) -> None:
    def moved(records: Records) -> Records:
        return [{**row, "HourUTC": row["HourUTC"].replace("2023", "2021")} for row in records]

    api.faults = [faults.records(moved)]
    with pytest.raises(SourceError, match="answers another question than was asked: 1824 of 1824 rows"):
        read()


def test_a_window_without_rows_says_which_hours_the_dataset_has(read: Read, window: Window) -> None:
    extraction = read(Window(window.start + timedelta(days=365), window.end + timedelta(days=365)))
    assert extraction.frame.is_empty()
    assert extraction.extent == (window.start, window.end - timedelta(hours=1))


def test_a_long_download_tells_how_far_it_is(read: Read, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    read(page=500)
    lines = [record.getMessage() for record in caplog.records if "rows so far" in record.getMessage()]
    assert len(lines) == 4
    assert lines[0].endswith(": page 1, 500 rows so far, 25 % of the hours, about 3 more pages")
    assert lines[-1].endswith(": page 4, 1824 rows so far, 96 % of the hours")


def test_the_pace_holds_from_request_to_request_and_from_run_to_run(
    api: EnergiDataService, read: Read, settings: Settings, waits: list[float]
) -> None:
    paced = settings.model_copy(update={"source_seconds_between_requests": 60.0})
    read(page=1000, settings=paced)
    read(settings=paced)
    assert len(api.requests) == 3
    assert [50 < wait <= 60 for wait in waits] == [True, True]
    # After a failure, too: no attempt comes sooner.
    api.faults = [faults.rate_limited(7)]
    waits.clear()
    read(settings=paced)
    assert [round(wait) for wait in waits] in ([60, 8, 60], [59, 8, 60])


ASK = """
import sys
from datetime import datetime
from pathlib import Path
from feature_pipeline.extract import pace
from feature_pipeline.extract.energi_data_service import Patience, extract
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
url, root, start, end = sys.argv[1:]
settings = Settings(root_dir=Path(root), source_seconds_between_requests=0.2)
window = Window(datetime.fromisoformat(start), datetime.fromisoformat(end))
def wait(self):
    waited(self)
    # When the request was counted as made: the server sees it later, and on a busy machine much later.
    print(self.place.with_suffix(".last").stat().st_mtime)


waited, pace.Pace.wait = pace.Pace.wait, wait
assert extract(url, window, settings=settings, patience=Patience(page=900)).frame.height == 1824
"""


def test_processes_that_ask_at_once_never_overlap_and_keep_the_pace(
    api: EnergiDataService, settings: Settings, window: Window
) -> None:
    api.faults = [faults.slow(0.05)] * 6
    arguments = [api.url(DATASET), str(settings.root), window.start.isoformat(), window.end.isoformat()]
    command = [sys.executable, "-c", ASK, *arguments]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    times = sorted(float(line) for process in processes for line in process.communicate()[0].splitlines())
    assert [process.returncode for process in processes] == [0, 0]
    assert api.most_at_once == 1
    assert len(times) == len(api.requests) == 6
    # The file system's clock ticks every few milliseconds.
    assert min(later - earlier for earlier, later in pairwise(times)) > 0.18


def test_a_server_that_limits_the_rate_is_never_asked_too_soon(
    rows: pl.DataFrame, settings: Settings, window: Window
) -> None:
    paced = settings.model_copy(update={"source_seconds_between_requests": 1.0})
    with EnergiDataService({DATASET: rows}, seconds_between_requests=0.2) as api:
        extraction = extract(api.url(DATASET), window, settings=paced, patience=Patience(page=900))
    assert extraction.frame.height == rows.height
    assert len(api.requests) == 3


@pytest.mark.parametrize(
    "url",
    [
        "https://api.energidataservice.dk/",
        "https://api.energidataservice.dk/dataset/",
        "https://api.energidataservice.dk/dataset/A?limit=5",
        "https://someone:secret@host/dataset/A",
        "https://host:port/dataset/A",
        "http://api.energidataservice.dk/dataset/A",
    ],
)
def test_a_url_that_is_not_that_of_a_dataset_is_refused(url: str) -> None:
    with pytest.raises(SourceError, match="https://") as caught:
        dataset_name(url)
    assert "secret" not in str(caught.value)


def test_a_dataset_without_an_entry_is_refused_before_anything_is_asked(
    api: EnergiDataService, settings: Settings, window: Window
) -> None:
    with pytest.raises(
        SourceError, match=r"no entry for the dataset Elspotprices; there are ConsumptionDE35Hour, .*add one"
    ):
        extract(api.url("Elspotprices"), window, settings=settings)
    assert api.requests == []
