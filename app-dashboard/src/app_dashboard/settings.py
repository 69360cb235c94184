"""Settings of the dashboard: environment variables, read once at the edge."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HOST: Final = "127.0.0.1"
PORT: Final = 8501


@dataclass(frozen=True)
class Settings:
    """Where the API is, and where people reach it and Airflow; the file of the API key, if one is asked for."""

    api_url: str = "http://127.0.0.1:8000"
    api_public_url: str = "http://127.0.0.1:8000"
    airflow_url: str | None = None
    api_key_file: Path | None = None

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Settings":
        """Read ``ML_PIPELINE_API_URL``, ``…_API_PUBLIC_URL``, ``…_AIRFLOW_URL`` and ``…_API_KEY_FILE``.

        >>> Settings.of({"ML_PIPELINE_API_URL": "http://api:8000/"}).api_public_url
        'http://api:8000'
        """
        url = (environment.get("ML_PIPELINE_API_URL") or cls.api_url).rstrip("/")
        key_file = environment.get("ML_PIPELINE_API_KEY_FILE")
        return cls(
            api_url=url,
            api_public_url=(environment.get("ML_PIPELINE_API_PUBLIC_URL") or url).rstrip("/"),
            airflow_url=(environment.get("ML_PIPELINE_AIRFLOW_URL") or "").rstrip("/") or None,
            api_key_file=Path(key_file) if key_file else None,
        )

    def api_key(self) -> str | None:
        """Return the key, or None if none is set.

        Raises:
            OSError: If the file cannot be read.
        """
        return None if self.api_key_file is None else self.api_key_file.read_text(encoding="utf-8").strip()
