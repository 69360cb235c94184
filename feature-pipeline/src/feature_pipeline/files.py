"""Small files that are either there in full or not at all."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from forecast_core.contracts.errors import StorageError


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` to ``path`` as JSON; a reader sees the file as it was before, or whole.

    Raises:
        StorageError: If the file cannot be written (disk full, no permission).
    """
    write_text(path, json.dumps(content, indent=1, sort_keys=True))


def write_text(path: Path, content: str) -> None:
    """Write ``content`` to ``path`` in UTF-8; a reader sees the file as it was before, or whole.

    Raises:
        StorageError: If the file cannot be written (disk full, no permission).
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise StorageError(
            f"{path} cannot be written: {error.strerror or error}. "
            "Make room or change ML_PIPELINE_ROOT_DIR, and run again.",
            path=str(path),
        ) from error
