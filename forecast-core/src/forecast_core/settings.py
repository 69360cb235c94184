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
