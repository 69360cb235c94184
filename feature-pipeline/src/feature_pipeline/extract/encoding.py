"""From the bytes of a text file to UTF-8 with LF at the end of each line, or an error that names what they are."""

from typing import Final

from forecast_core.contracts.errors import SourceError

_BOMS: Final = (
    # UTF-32 first: its little-endian mark begins with that of UTF-16.
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
    (b"\xef\xbb\xbf", "utf-8"),
)
_NAMES: Final = {"utf-32-le": "UTF-32", "utf-32-be": "UTF-32", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16"}
_ASCII_PLACES: Final = {"utf-32-le": (0, 4), "utf-32-be": (3, 4), "utf-16-le": (0, 2), "utf-16-be": (1, 2)}
"""Of each code unit, the byte that an ASCII character fills, and the unit's width; its other bytes are NUL."""
_SAMPLE_BYTES: Final = 4096
_ASCII_SHARE: Final = 0.9
"""Share of ASCII characters from which on NUL bytes between them show the encoding; a header is all ASCII."""
PARQUET: Final = ("a parquet file", "let its name end in .parquet")
_OTHER_FORMATS: Final = (
    (b"\x1f\x8b", "a file compressed with gzip", "unpack it"),
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook", "unpack it, or save it as CSV"),
    (b"BZh", "a file compressed with bzip2", "unpack it"),
    (b"\xfd7zXZ\x00", "a file compressed with xz", "unpack it"),
    (b"\x28\xb5\x2f\xfd", "a file compressed with zstd", "unpack it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it"),
    (b"Rar!", "a RAR archive", "unpack it"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "save it as CSV"),
    (b"%PDF", "a PDF document", "export the data as CSV"),
    (b"PAR1", *PARQUET),
)


def other_format(start: bytes) -> tuple[str, str] | None:
    """Return what a file is that begins so, and what to do, if that is neither text nor unknown."""
    for magic, name, advice in _OTHER_FORMATS:
        if start.startswith(magic):
            return name, advice
    first = start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if first == b"<":
        return "an HTML or XML document", "download the data instead of the page"
    if first in (b"{", b"["):
        return "a JSON document", "export the data as CSV"
    return None


def text_lines(data: bytes, *, source: str) -> tuple[bytes, tuple[str, ...]]:
    """Return the text as UTF-8 without byte order mark, each line ended by LF, and warnings.

    UTF-8, UTF-16 and UTF-32 are read, with or without a byte order mark. Bytes that are none of these are read as
    Windows-1252, which ISO 8859-1 agrees with on letters, with a warning. Line ends may be LF, CR LF or CR, also mixed.

    Raises:
        SourceError: If the data are no text.
    """
    other = other_format(data[:64])
    if other is not None:
        raise SourceError(f"{source} is {other[0]}, not CSV: {other[1]}.", source=source)
    mark, encoding = _encoding(data)
    body = data[len(mark) :]
    warnings: tuple[str, ...] = ()
    if encoding != "utf-8":
        body = _decoded(body, encoding, source=source).encode()
    elif not body.isascii():
        body, warnings = _as_utf8(body, source=source)
    if b"\r" in body:
        body = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b"\x00" in body:
        line = body.count(b"\n", 0, body.index(b"\x00")) + 1
        raise SourceError(
            f"{source} has {body.count(bytes(1)):,} NUL bytes, first in line {line}: it is damaged or no text. "
            "Export it again as UTF-8.",
            source=source,
            line=line,
        )
    return body, warnings


def _encoding(data: bytes) -> tuple[bytes, str]:
    """Return the byte order mark (or nothing) and the encoding."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return mark, encoding
    sample = data[: min(_SAMPLE_BYTES, len(data) - len(data) % 4)]
    if b"\x00" in sample:
        for encoding, (place, width) in _ASCII_PLACES.items():
            units = len(sample) // width
            others = sum(sample[at::width].count(0) for at in range(width) if at != place)
            if others >= _ASCII_SHARE * units * (width - 1) and sample[place::width].count(0) == 0:
                return b"", encoding
    return b"", "utf-8"


def _decoded(body: bytes, encoding: str, *, source: str) -> str:
    try:
        return body.decode(encoding)
    except UnicodeDecodeError as error:
        line = body[: error.start].decode(encoding, errors="ignore").count("\n") + 1
        raise SourceError(
            f"{source} begins as {_NAMES[encoding]} text and is damaged in line {line} ({error.reason}). "
            "Export it again, best as UTF-8.",
            source=source,
            line=line,
        ) from error


def _as_utf8(body: bytes, *, source: str) -> tuple[bytes, tuple[str, ...]]:
    """Return the body if it is UTF-8, and else what it is as Windows-1252."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        try:
            text = body.decode("cp1252")
        except UnicodeDecodeError:
            raise SourceError(
                f"{source} is neither UTF-8 nor Windows-1252 text, first in line {line} "
                f"(byte {body[error.start]:#04x}). Export it again as UTF-8.",
                source=source,
                line=line,
            ) from error
        return text.encode(), (f"not UTF-8 from line {line} on; read as Windows-1252",)
    return body, ()
