"""Settings, and what Streamlit is started with."""

import subprocess
import sys
from pathlib import Path

from app_dashboard.__main__ import options
from app_dashboard.settings import Settings


def test_the_api_is_on_this_machine_unless_said_and_people_reach_it_where_it_is() -> None:
    assert Settings.of({}).api_url == "http://127.0.0.1:8000"
    found = Settings.of({"ML_PIPELINE_API_URL": "http://api:8000/", "ML_PIPELINE_AIRFLOW_URL": ""})
    assert (found.api_url, found.api_public_url, found.airflow_url) == ("http://api:8000", "http://api:8000", None)


def test_the_key_is_in_a_file_of_the_root_folder(tmp_path: Path) -> None:
    here = Settings.of({"ML_PIPELINE_ROOT_DIR": str(tmp_path)})
    assert here.api_key() is None
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "dashboard-api-key").write_text("abc\n")
    assert here.api_key() == "abc"
    assert Settings.of({}).api_key() is None


def test_streamlit_knows_every_option_and_tells_nobody() -> None:
    from streamlit import config

    known = config.get_config_options()
    asked = options("127.0.0.1", 8501)
    assert set(asked) <= set(known)
    assert asked["browser.gatherUsageStats"] is False
    assert asked["server.address"] == "127.0.0.1"


def test_importing_the_pages_starts_nothing_and_help_needs_no_streamlit() -> None:
    code = "import sys, app_dashboard.__main__; sys.exit('streamlit' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
