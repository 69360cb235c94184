"""Proxies of the environment: what is no HTTP proxy, or does not answer, is one line that names the variable."""

import subprocess
import sys
from collections.abc import Iterator

import polars as pl
import pytest

from feature_pipeline.extract.energi_data_service import Patience, extract
from feature_pipeline.extract.proxy import Proxy, proxy_of
from feature_pipeline.testing import EnergiDataService
from forecast_core.contracts.errors import SourceError, SourceUnavailable
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window

SOURCE = "https://api.example.org/dataset/ConsumptionDE35Hour"
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def api(rows: pl.DataFrame) -> Iterator[EnergiDataService]:
    with EnergiDataService({"ConsumptionDE35Hour": rows}) as service:
        yield service


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy.lan:3128"}, Proxy("HTTPS_PROXY", "http://proxy.lan:3128")),
        ({"https_proxy": "proxy.lan:3128"}, Proxy("https_proxy", "http://proxy.lan:3128")),
        ({"ALL_PROXY": "https://[fd00::1]:443"}, Proxy("ALL_PROXY", "https://[fd00::1]:443")),
        # What a desktop sets: of these, only the first is for this source.
        (
            {"https_proxy": "http://proxy.lan:3128/", "all_proxy": "socks://proxy.lan:1080/"},
            Proxy("https_proxy", "http://proxy.lan:3128/"),
        ),
        ({"http_proxy": "nonsense://"}, None),
        ({"HTTPS_PROXY": ""}, None),
        ({"ALL_PROXY": "socks5://127.0.0.1:1080", "no_proxy": "example.org"}, None),
        ({"ALL_PROXY": "socks5://127.0.0.1:1080", "NO_PROXY": "localhost, .example.org"}, None),
        ({"HTTPS_PROXY": "http://proxy.lan:3128", "no_proxy": "other.org", "NO_PROXY": "api.example.org"}, None),
        ({"HTTPS_PROXY": "http://proxy.lan:3128", "no_proxy": "*"}, None),
    ],
)
def test_the_environment_says_which_proxy(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: Proxy | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_of(SOURCE) == expected


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize(
    "value",
    [
        "socks://127.0.0.1:1080/",
        "socks5h://someone:hidden-word@proxy.lan:1080",
        "http://",
        "http://proxy.lan:port",
        "http://[fd00::1",
        "http://proxy lan:3128",
        "proxy.lan:99999",
        "ftp://proxy.lan",
        "://",
    ],
)
def test_what_is_no_http_proxy_is_one_line_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, window: Window, variable: str, value: str
) -> None:
    """httpx ended with a ValueError or an ImportError, also for a source on this machine."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(SourceError) as refused:
        extract(SOURCE, window, settings=settings, patience=Patience(attempts=1, sleep=lambda _: None))
    message = str(refused.value)
    assert message.startswith(f"{variable} is '")
    assert "api.example.org to no_proxy" in message
    assert "hidden-word" not in message
    assert "\n" not in message
    assert len(message) <= 500


@pytest.mark.parametrize("value", ["socks://127.0.0.1:1080", "http://127.0.0.1:9", "http://", "://"])
def test_a_source_on_this_machine_never_needs_a_proxy(
    monkeypatch: pytest.MonkeyPatch, api: EnergiDataService, settings: Settings, window: Window, value: str
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, value)
    for name in ("127.0.0.1", "127.0.0.2", "[::1]", "localhost"):
        assert proxy_of(f"http://{name}:8000/dataset/X") is None
    assert extract(api.url("ConsumptionDE35Hour"), window, settings=settings).frame.height == 1824


def test_a_proxy_that_does_not_answer_is_named_with_its_variable_and_without_its_password(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, window: Window
) -> None:
    # Nothing listens on the port for discarding.
    monkeypatch.setenv("HTTPS_PROXY", "http://someone:hidden-word@127.0.0.1:9")
    with pytest.raises(SourceUnavailable) as refused:
        extract(SOURCE, window, settings=settings, patience=Patience(attempts=2, sleep=lambda _: None))
    message = str(refused.value.args[0])
    assert "through the proxy http://127.0.0.1:9 of HTTPS_PROXY" in message
    assert "hidden-word" not in message
    assert len(message) <= 500


def test_a_run_over_a_file_imports_no_http_client() -> None:
    code = (
        "import sys, feature_pipeline.pipeline; print([name for name in ('httpx', 'requests') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
