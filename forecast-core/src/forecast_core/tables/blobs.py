"""Small files in the store that are no tables: validation results and their pages, for example.

They lie in the same local folder or object store as the tables, and are reached with the same storage options.
"""

import os
import re
import uuid
from pathlib import Path
from typing import Final

# The object store under the tables: same options, same credentials, same retries. delta-rs exports it only here.
from deltalake._internal import DeltaFileSystemHandler

from forecast_core.contracts.errors import InvalidArgument, NotFoundError
from forecast_core.contracts.settings import Settings
from forecast_core.tables.faults import storage_errors
from forecast_core.tables.places import options, place

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def write(settings: Settings, *parts: str, content: bytes) -> str:
    """Write a file in place of the one that is there; a reader sees the old one or the new one, in full.

    Args:
        settings: Where the store is.
        parts: Folders and name of the file below the store, e.g. ``"validation", "demo-denmark", "index.html"``.
        content: The bytes of the file.

    Returns:
        The path (local stores) or URI (object stores) of the file.

    Raises:
        InvalidArgument: If a part is not a plain name, or the store cannot be used.
        StorageError: If the file cannot be written now (disk full, no permission, no answer).
    """
    where = place(settings, *_plain(parts))
    with storage_errors(where):
        if "://" in where:
            folder, name = where.rsplit("/", 1)
            # The object appears when the stream is closed, and not before.
            stream = DeltaFileSystemHandler(folder, options(settings)).open_output_stream(name)
            stream.write(content)
            stream.close()  # type: ignore[attr-defined]  # deltalake's type information forgets it
        else:
            _write_local(Path(where), content)
    return where


def read(settings: Settings, *parts: str) -> bytes:
    """Return the bytes of a file in the store.

    Args:
        settings: Where the store is.
        parts: As for ``write``.

    Raises:
        InvalidArgument: If a part is not a plain name, or the store cannot be used.
        NotFoundError: If there is no such file.
        StorageError: If the file cannot be read now.
    """
    where = place(settings, *_plain(parts))
    with storage_errors(where):
        try:
            if "://" not in where:
                return _inside(settings, Path(where)).read_bytes()
            folder, name = where.rsplit("/", 1)
            file = DeltaFileSystemHandler(folder, options(settings)).open_input_file(name)
            return bytes(file.read(file.size()))
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            pass
    raise NotFoundError(f"there is no file {where}", path=where)


def _inside(settings: Settings, path: Path) -> Path:
    """Return a path with its links followed, if they do not lead out of the store.

    Raises:
        FileNotFoundError: If they do: files are served over HTTP.
    """
    found = path.resolve()
    if not found.is_relative_to(Path(place(settings)).resolve()):
        raise FileNotFoundError(path)
    return found


def _plain(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Return ``parts`` if none of them can lead out of its folder."""
    for part in parts:
        if not _NAME.fullmatch(part):
            raise InvalidArgument(
                "a file in the store is named by letters, digits, '_', '.' and '-', beginning with a letter or digit, "
                f"not {part!r}",
                part=part,
            )
    return parts


def _write_local(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            # Without it, a machine that loses power may keep the new name with nothing in it.
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
