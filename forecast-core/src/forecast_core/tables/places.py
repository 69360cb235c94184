"""Where in the store each table and file is."""

from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.settings import Settings

_REFUSED: Final = frozenset("%=[]^|\\")
_SECRET: Final = ("secret", "password", "token", "access_key", "account_key", "sas", "service_account")


def place(settings: Settings, *parts: str) -> str:
    """Return the path (local stores) or URI (object stores) of something in the store.

    >>> place(Settings(store_uri="s3://bucket/energy/"), "observations", "v1")
    's3://bucket/energy/observations/v1'
    >>> place(Settings(store_uri="file:///srv/store"), "forecasts")
    '/srv/store/forecasts'

    Raises:
        InvalidArgument: If a local path has a character with which delta-rs or polars lose files, or crash.
    """
    store = settings.store
    if store.startswith("file://"):
        store = unquote(urlsplit(store).path)
    if "://" not in store:
        path = str(Path(store).expanduser().absolute().joinpath(*parts))
        if refused := sorted(_REFUSED.intersection(path)):
            raise InvalidArgument(
                f"the store cannot be in {path}: Delta tables do not bear {' '.join(refused)} in their path; "
                "set ML_PIPELINE_ROOT_DIR or ML_PIPELINE_STORE_URI to another",
                path=path,
            )
        return path
    return "/".join([store.rstrip("/"), *parts])


def options(settings: Settings) -> dict[str, str] | None:
    """Return the storage options of the object store.

    Raises:
        InvalidArgument: If a secret is among them: they are written to logs.
    """
    secrets = [name for name in settings.storage_options or {} if any(part in name.lower() for part in _SECRET)]
    if secrets:
        raise InvalidArgument(
            f"storage options are written to logs and hold no secrets, but here are {', '.join(sorted(secrets))}: "
            "set them in the environment by the object store's own names, e.g. AWS_SECRET_ACCESS_KEY",
            options=sorted(secrets),
        )
    return settings.storage_options
