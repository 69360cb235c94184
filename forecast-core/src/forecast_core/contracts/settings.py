"""Settings: one frozen value, read from the environment (or ``.env``) once, at the edge, and passed in."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Where things are and how much is tolerated; every field is an environment variable ``ML_PIPELINE_<FIELD>``.

    >>> Settings(root_dir=Path("/srv/energy")).store
    '/srv/energy/store'
    """

    model_config = SettingsConfigDict(env_prefix="ML_PIPELINE_", frozen=True, extra="ignore")

    root_dir: Path = Field(Path(".energy"), description="Folder of all that the system generates.")
    store_uri: str | None = Field(None, description="Folder or object-store URI of the tables; default root/store.")
    storage_options: dict[str, str] | None = Field(
        None, description="Options of the object store for delta-rs, as JSON, for example its endpoint; no secrets."
    )
    tracking_uri: str | None = Field(
        None, description="SQLAlchemy URI of the MLflow database; default an SQLite file in the root folder."
    )
    artifacts_uri: str | None = Field(None, description="Folder or URI of model files; default root/artifacts.")
    minimum_window_share: float = Field(
        0.5, ge=0, le=1, description="A run fails if the source has less than this share of the window's hours."
    )
    source_seconds_between_requests: float = Field(
        60,
        ge=0,
        description="Seconds between two requests for a dataset, over all processes that share the root folder.",
    )
    source_decimal: Literal["point", "comma"] | None = Field(
        None,
        description="The mark before decimals in files whose numbers, such as 467.335, may have it before decimals or "
        "between thousands; unset: such a file is refused, unless known values decide.",
    )
    source_clock: Literal["utc"] | None = Field(
        None, description="``utc``: do not check whether the source's times are on the Danish clock instead of UTC."
    )
    tuning_trials: int = Field(
        20, ge=1, description="Most configurations that a search tries, the default one included."
    )
    tuning_seconds: float = Field(3600, gt=0, description="Seconds after which a search starts no further trial.")
    promotion_margin: float = Field(
        0.01,
        ge=0,
        description="How much worse than the champion a challenger may be, with 95 % confidence; 0.01 is 1 %.",
    )
    retrain: str = Field(
        "every_run", description="When a model is trained: every_run, every N hours, or on_alarm; docs/models.md."
    )
    alarm_skill: tuple[float, float] = Field(
        (1.0, 1.1), description="MAE of 7 days divided by the seasonal naive forecast's: thresholds (notify, tune)."
    )
    alarm_backtest: tuple[float, float] = Field(
        (1.3, 1.6), description="That ratio divided by the one of the models' backtests: thresholds (notify, tune)."
    )
    alarm_coverage: tuple[float, float] = Field(
        (0.1, 0.2), description="Distance of the 80 % intervals' coverage from 0.8: thresholds (notify, tune)."
    )
    alarm_input_drift: tuple[float, float] = Field(
        (0.1, 0.3), description="Share of series whose level left its three-sigma limits: thresholds (notify, tune)."
    )
    alarm_error_drift: tuple[float, float] = Field(
        (0.6, 0.8), description="Trigg's tracking signal of the daily errors, 0 to 1: thresholds (notify, tune)."
    )
    alarm_fallback: float = Field(0.1, description="Share of a run's forecasts that are fallbacks: threshold.")
    alarm_series: float = Field(2.0, description="A series' MAE divided by its seasonal naive MAE: threshold.")
    alarm_run_hours: float = Field(3, description="Hours without an ingest, or without archived forecasts: threshold.")
    alarm_blocking_hours: float = Field(
        4, description="Hours that a run of the DAG has been running; the limits of its tasks add up to 4: threshold."
    )
    alarm_data_hours: float = Field(
        24, description="Hours by which the newest observation is older than usual for its source: threshold."
    )
    threads: int = Field(2, ge=1, description="Threads that fit a model.")

    api_host: str = Field("127.0.0.1", description="Address that the API listens on.")
    api_port: int = Field(8000, ge=1, le=65535, description="Port that the API listens on.")
    api_refresh_seconds: float = Field(2, gt=0, le=5, description="Seconds between the API's checks for new data.")
    api_keys_file: Path | None = Field(
        None,
        description="File with the SHA-256 of each API key, one per line in hexadecimal digits; default "
        "root/secrets/api-keys. If there is no file, no key is needed.",
    )
    api_cors_origins: tuple[str, ...] = Field(
        (), description="Origins (JSON list) whose web pages may read the API; none by default."
    )
    airflow_url: str | None = Field(None, description="Airflow's address as browsers reach it, for links.")
    airflow_api_url: str | None = Field(None, description="Address from which the API reads runs; default airflow_url.")
    airflow_user: str = Field("viewer", description="Airflow's user for these requests; read access is enough.")
    airflow_password_file: Path | None = Field(
        None, description="File with that user's password; default root/secrets/airflow-viewer-password."
    )

    @property
    def root(self) -> Path:
        """The root folder as an absolute path."""
        return self.root_dir.expanduser().absolute()

    @property
    def store(self) -> str:
        """Folder or URI under which the Delta tables are."""
        return self.store_uri or str(self.root / "store")

    @property
    def tracking(self) -> str:
        """URI of the MLflow tracking database."""
        return self.tracking_uri or f"sqlite:///{self.root / 'mlflow.db'}?timeout=30"

    @property
    def artifacts(self) -> str:
        """URI under which MLflow keeps model files."""
        return self.artifacts_uri or (self.root / "artifacts").as_uri()
