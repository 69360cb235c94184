"""The server from a shell: ``python -m app_dashboard``."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from app_dashboard.settings import HOST, PORT
from app_dashboard.theme import THEME


def options(host: str, port: int) -> dict[str, str | int | bool | list[str]]:
    """Return Streamlit's configuration: quiet, without usage statistics, in our colours."""
    return {
        "server.address": host,
        "server.port": port,
        "server.headless": True,
        "server.showEmailPrompt": False,
        "server.fileWatcherType": "none",
        "server.runOnSave": False,
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        **THEME,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m app_dashboard", description=__doc__)
    host = os.environ.get("ML_PIPELINE_DASHBOARD_HOST") or HOST
    port = int(os.environ.get("ML_PIPELINE_DASHBOARD_PORT") or PORT)
    parser.add_argument("--host", default=host, help="default: %(default)s")
    parser.add_argument("--port", type=int, default=port, help="default: %(default)s")
    asked = parser.parse_args(arguments)
    # Its import takes a second, which --help need not.
    from streamlit.web import bootstrap

    flags = {name.replace(".", "_"): value for name, value in options(asked.host, asked.port).items()}
    bootstrap.load_config_options(flags)
    bootstrap.run(str(Path(__file__).with_name("app.py")), False, [], flags)
    return 0


if __name__ == "__main__":
    sys.exit(main())
