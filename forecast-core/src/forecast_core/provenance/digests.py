"""Digests that identify rows and files by their content, the same on every machine."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl


def of_frame(frame: pl.DataFrame) -> str:
    """Return the SHA-256 of a frame's columns in their order: names, then values, floating-point numbers by their bits.

    Texts are UTF-8, each with its length before it; whole numbers, times (microseconds since 1970) and floats are
    little-endian and 8 bytes long. No value may be missing.

    >>> of_frame(pl.DataFrame({"a": [0.0]})) == of_frame(pl.DataFrame({"a": [-0.0]}))
    False
    """
    digest = hashlib.sha256(f"rows 1 {frame.height}\n".encode())
    for column in frame.iter_columns():
        digest.update(f"{column.name} {column.dtype}\n".encode())
        if column.dtype == pl.String:
            texts = column.to_frame().select(
                pl.concat_str(pl.col(column.name).str.len_bytes(), pl.lit(":"), column.name)
            )
            digest.update("".join(texts.to_series()).encode())
        else:
            kind = "<f8" if column.dtype == pl.Float64 else "<i8"
            digest.update(np.ascontiguousarray(column.to_physical().to_numpy(), dtype=kind).tobytes())
    return digest.hexdigest()


def of_files(folder: Path) -> Mapping[str, str]:
    """Return the SHA-256 of each file under a folder, by its path in there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
