"""The files of a model version: in the artifact folder, or fetched from a remote store and kept on this machine."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlparse

from forecast_core.contracts.errors import NotFoundError, StorageError
from forecast_core.contracts.settings import Settings
from forecast_core.tracking.database import writing
from forecast_core.tracking.models import ModelVersion

KEPT_MODELS: Final = 20
"""Models of a remote store that are kept on this machine."""

_FETCHING: Final = ".fetching-"
_FETCH_WAIT: Final = 600.0


def download_model(settings: Settings, version: ModelVersion) -> Path:
    """Return a local folder that has the version's files.

    Those of a remote store are copied once; the ``KEPT_MODELS`` models that were used last stay on this machine.

    Raises:
        NotFoundError: If the version's files are gone.
        StorageError: If a remote store cannot be read now.
    """
    if _is_local(version.source):
        return _local_folder(settings, version)
    kept = settings.root / "models" / f"{version.run_id}-{version.version}"
    if not kept.is_dir():
        _fetch(settings, version, kept)
    # The order of use is the order of these times.
    os.utime(kept)
    return kept


def _is_local(uri: str) -> bool:
    return urlparse(uri).scheme in ("", "file")


def _path(uri: str) -> Path:
    return Path(unquote(urlparse(uri).path))


def _local_folder(settings: Settings, version: ModelVersion) -> Path:
    """Return the folder in the artifact folder of ``settings``, else where the version was registered.

    MLflow registers absolute paths. A root folder that was copied or moved has its own files under the same names,
    from the folder of the MLflow run on.
    """
    registered = _path(version.source)
    folders = [registered]
    if version.run_id in registered.parts and _is_local(settings.artifacts):
        below = registered.parts[registered.parts.index(version.run_id) :]
        folders.insert(0, _path(settings.artifacts).joinpath(*below))
    for folder in folders:
        if folder.is_dir():
            return folder
    raise NotFoundError(
        f"the files of model version {version.version} are gone from {' and '.join(dict.fromkeys(map(str, folders)))}; "
        "put them back, or train again",
        version=version.version,
    )


def _fetch(settings: Settings, version: ModelVersion, kept: Path) -> None:
    """Copy a version's files from its remote store; ``kept`` appears whole or not at all."""
    from filelock import FileLock, Timeout

    kept.parent.mkdir(parents=True, exist_ok=True)
    try:
        # One process fetches at a time, so what another one left half done can be removed.
        with FileLock(kept.parent / ".lock", timeout=_FETCH_WAIT):
            if kept.is_dir():
                return
            for left in kept.parent.glob(f"{_FETCHING}*"):
                shutil.rmtree(left, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=kept.parent, prefix=_FETCHING) as draft:
                _downloaded(settings, version, Path(draft)).rename(kept)
            _prune(kept)
    except Timeout as error:
        raise StorageError(
            f"another process has been fetching a model into {kept.parent} for more than {_FETCH_WAIT:g} s: run again",
            folder=kept.parent,
        ) from error


def _downloaded(settings: Settings, version: ModelVersion, draft: Path) -> Path:
    with writing(settings):
        from mlflow.artifacts import download_artifacts

        try:
            folder = Path(download_artifacts(artifact_uri=version.source, dst_path=str(draft)))
        except ImportError:
            # The client of this kind of store is not installed: running again does not help.
            raise
        # Each store's client has errors of its own, which MLflow passes on.
        except Exception as error:
            raise StorageError(
                f"the files of model version {version.version} cannot be fetched from {version.source}: {error}",
                version=version.version,
            ) from error
    if not folder.is_dir() or not any(folder.iterdir()):
        raise NotFoundError(
            f"the files of model version {version.version} are gone from {version.source}; put them back, or train "
            "again",
            version=version.version,
        )
    return folder


def _prune(newest: Path) -> None:
    """Remove the models that were used least recently; ``newest`` stays."""
    others = [each for each in newest.parent.iterdir() if each.is_dir() and each != newest]
    for left in sorted(others, key=lambda each: each.stat().st_mtime_ns)[: -KEPT_MODELS + 1 or None]:
        # Renamed first, so that no reader finds half a model.
        gone = left.with_name(f"{_FETCHING}{left.name}")
        left.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
