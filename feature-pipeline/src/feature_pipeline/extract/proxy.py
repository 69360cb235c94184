"""The proxy that the environment names for a source, judged before the first request."""

import ipaddress
import os
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # typeshed has it under macOS only

from forecast_core.contracts.errors import SourceError

_SCHEMES: Final = ("http", "https")
_HOST: Final = re.compile(r"[A-Za-z0-9._:-]+")


@dataclass(frozen=True)
class Proxy:
    """A proxy of the environment.

    Attributes:
        variable: The environment variable that names it, as it is spelt.
        url: Where it is; may hold a password.
    """

    variable: str
    url: str

    @property
    def shown(self) -> str:
        """The proxy without user and password."""
        return _without_password(self.url)


def proxy_of(url: str) -> Proxy | None:
    """Return the proxy through which the environment has a source reached; None if directly.

    ``https_proxy`` or ``http_proxy`` by the source's scheme, else ``all_proxy``; each in lower case first, else in
    upper case. This machine never needs one, nor does a host that ``no_proxy`` or ``NO_PROXY`` has.

    Raises:
        SourceError: If the variable does not hold the address of an HTTP proxy. Other kinds, such as SOCKS, are not
            supported.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if _is_this_machine(host) or _is_direct(host):
        return None
    for kind in (f"{parts.scheme.lower()}_proxy", "all_proxy"):
        for variable in (kind, kind.upper()):
            if value := os.environ.get(variable, "").strip():
                return Proxy(variable, _checked(variable, value, host))
    return None


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_direct(host: str) -> bool:
    entries = [each for name in ("no_proxy", "NO_PROXY") for each in re.split(r"[,\s]+", os.environ.get(name, ""))]
    return bool(proxy_bypass_environment(host, {"no": ",".join(filter(None, entries))}))


def _checked(variable: str, value: str, host: str) -> str:
    url = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(url)
        is_proxy = parts.scheme.lower() in _SCHEMES and _HOST.fullmatch(parts.hostname or "") is not None
        # Reading it judges it.
        _ = parts.port
    except ValueError:
        is_proxy = False
    if not is_proxy:
        shown = _without_password(value)[:100]
        raise SourceError(
            f"{variable} is {shown!r}, which is no HTTP proxy (http://HOST:PORT; SOCKS is not supported): "
            f"correct or unset it, or add {host} to no_proxy.",
            variable=variable,
        )
    return url


def _without_password(text: str) -> str:
    return re.sub(r"^([A-Za-z0-9+.-]*://)?.*@", r"\1", text)
