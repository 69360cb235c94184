"""Settings: one frozen value, read from the environment (or ``.env``) once, at the edge, and passed in."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Where things are and how much is tolerated; every field is an environment variable ``ML_PIPELINE_<FIELD>``.

    >>> Settings(root_dir=Path("/srv/energy")).store
    '/srv/energy/store'
    """

    model_config = SettingsConfigDict(env_prefix="ML_PIPELINE_", frozen=True, extra="ignore")

    root_dir: Path = Field(Path(".energy"), description="Folder of everything that the system generates.")
    store_uri: str | None = Field(
        None, description="Folder or object-store URI of the feature store and forecast archive; default root/store."
    )
    storage_options: dict[str, str] | None = Field(
        None, description="Options of the object store as delta-rs takes them (JSON), e.g. an endpoint; no secrets."
    )
    tracking_uri: str | None = Field(
        None, description="SQLAlchemy URI of the MLflow database; default an SQLite file in the root folder."
    )
    artifacts_uri: str | None = Field(None, description="Where MLflow keeps model files; default root/artifacts.")
    minimum_window_share: float = Field(
        0.5, ge=0, le=1, description="Least share of the window's hours that the source must have for a run to go on."
    )
    source_seconds_between_requests: float = Field(
        60,
        ge=0,
        description="Seconds between two requests for a dataset, for all processes that share the root folder.",
    )
    tuning_trials: int = Field(20, ge=1, description="Configurations that a search tries, the default one included.")
    tuning_seconds: float = Field(3600, gt=0, description="Seconds after which a search begins no further trial.")
    promotion_margin: float = Field(
        0.01,
        ge=0,
        description="Share by which a challenger may be worse than the champion, with 95 % confidence, to replace it.",
    )
    retrain: str = Field(
        "every_run", description="When a model is trained: every_run, every N hours, or on_alarm; docs/models.md."
    )
    alarm_skill: tuple[float, float] = Field(
        (1.0, 1.1), description="Errors over the seasonal naive forecast's: an alarm, and one that also asks to tune."
    )
    alarm_backtest: tuple[float, float] = Field(
        (1.3, 1.6), description="The same ratio over what the models had measured of themselves: alarm, tune."
    )
    alarm_coverage: tuple[float, float] = Field(
        (0.1, 0.2), description="Distance of the 80 % intervals' coverage from 0.8: alarm, tune."
    )
    alarm_input_drift: tuple[float, float] = Field(
        (0.1, 0.3), description="Share of series whose level has left its three-sigma limits: alarm, tune."
    )
    alarm_error_drift: tuple[float, float] = Field(
        (0.6, 0.8), description="Trigg's tracking signal of the daily errors, 0 to 1: alarm, tune."
    )
    alarm_fallback: float = Field(0.1, description="Share of a run's forecasts that did not come from the model.")
    alarm_series: float = Field(2.0, description="A series' errors over the seasonal naive forecast's.")
    alarm_run_hours: float = Field(3, description="Hours without a run that ingests, archives forecasts.")
    alarm_data_hours: float = Field(24, description="Hours by which the newest observation is older than usual.")
    threads: int = Field(2, ge=1, description="Threads for fitting a model.")

    api_host: str = Field("127.0.0.1", description="Address that the API listens on.")
    api_port: int = Field(8000, ge=1, le=65535, description="Port that the API listens on.")
    api_refresh_seconds: float = Field(
        2, gt=0, le=5, description="Seconds between the API's looks for new versions of the tables."
    )
    api_keys_file: Path | None = Field(
        None,
        description="File of the API keys' SHA-256, one a line in hexadecimal digits; default root/secrets/api-keys, "
        "if it is there. Without a file, no key is asked for.",
    )
    api_cors_origins: tuple[str, ...] = Field(
        (), description="Origins (JSON list) whose pages may read the API in a browser; none by default."
    )
    airflow_url: str | None = Field(None, description="Address of Airflow's pages, for the API's links to DAG runs.")
    airflow_api_url: str | None = Field(
        None, description="Where the API asks Airflow about runs, if not at the address of its pages."
    )
    airflow_user: str = Field(
        "viewer", description="Airflow's user by whom the API asks; to look is all it must be allowed."
    )
    airflow_password_file: Path | None = Field(
        None, description="File of that user's password; default root/secrets/airflow-viewer-password."
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
