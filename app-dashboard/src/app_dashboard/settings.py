"""Settings of the dashboard: environment variables, read once at the edge."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HOST: Final = "127.0.0.1"
PORT: Final = 8501


@dataclass(frozen=True)
class Settings:
    """Where the API is, and where people reach it and Airflow; where the API key is, if one is asked for."""

    api_url: str = "http://127.0.0.1:8000"
    api_public_url: str = "http://127.0.0.1:8000"
    airflow_url: str | None = None
    api_key_file: Path | None = None

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Settings":
        """Read ``ML_PIPELINE_API_URL``, ``…_API_PUBLIC_URL``, ``…_AIRFLOW_URL`` and ``…_ROOT_DIR``.

        The key, if the API asks for one, is in ``secrets/dashboard-api-key`` of the root folder.

        >>> Settings.of({"ML_PIPELINE_API_URL": "http://api:8000/"}).api_public_url
        'http://api:8000'
        """
        url = (environment.get("ML_PIPELINE_API_URL") or cls.api_url).rstrip("/")
        root = environment.get("ML_PIPELINE_ROOT_DIR")
        return cls(
            api_url=url,
            api_public_url=(environment.get("ML_PIPELINE_API_PUBLIC_URL") or url).rstrip("/"),
            airflow_url=(environment.get("ML_PIPELINE_AIRFLOW_URL") or "").rstrip("/") or None,
            api_key_file=Path(root, "secrets", "dashboard-api-key") if root else None,
        )

    def api_key(self) -> str | None:
        """Return the key, or None if there is no such file.

        Raises:
            OSError: If the file cannot be read.
        """
        if self.api_key_file is None or not self.api_key_file.exists():
            return None
        return self.api_key_file.read_text(encoding="utf-8").strip()
