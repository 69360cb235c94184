"""The private package index, as a client: what it has, and uploads to it."""

import hashlib
import re
import time
from pathlib import Path

import httpx

from local_stack import credentials
from local_stack.layout import Layout, SetupError


class Index:
    """A session with the index of a stack; every request has its password.

    All methods raise ``SetupError`` if the index does not answer.
    """

    def __init__(self, layout: Layout) -> None:
        self._url = layout.index_url
        login = (credentials.INDEX_USER, credentials.read(layout, "index-password"))
        self._client = httpx.Client(auth=login, timeout=30, trust_env=False)

    def wait_until_it_answers(self, *, seconds: float = 300) -> None:
        """Return when the index answers."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self._client.get(f"{self._url}/health")
                return
            except httpx.HTTPError as error:
                if time.monotonic() > deadline:
                    raise self._silent(error) from None
            time.sleep(0.05)

    def files(self, distribution: str) -> dict[str, str]:
        """Return file name to SHA-256 of what the index has of a distribution."""
        try:
            answer = self._client.get(f"{self._url}/simple/{distribution}/")
        except httpx.HTTPError as error:
            raise self._silent(error) from None
        if answer.status_code == httpx.codes.NOT_FOUND:
            return {}
        if answer.is_error:
            raise SetupError(f"the private index at {self._url} answers {answer.status_code} for {distribution}")
        return dict(re.findall(r'href="[^"]*?([^/"#]+)#sha256=([0-9a-f]{64})"', answer.text))

    def missing(self, distribution: str, files: list[Path]) -> list[Path]:
        """Return those of ``files`` that the index does not have.

        Raises:
            SetupError: If it has one of them with other content.
        """
        published = self.files(distribution)
        for path in files:
            if published.get(path.name) not in (None, hashlib.sha256(path.read_bytes()).hexdigest()):
                raise SetupError(
                    f"{path.name} is published with other content, and a published version never changes: "
                    "raise the version of all packages with `make version V=X.Y.Z` and publish again"
                )
        return [path for path in files if path.name not in published]

    def upload(self, distribution: str, path: Path) -> None:
        """Publish a file under a name that the index does not have yet.

        Raises:
            SetupError: If the index refuses it; also if it has just got another file of that name.
        """
        form = {":action": "file_upload", "name": distribution}
        try:
            answer = self._client.post(f"{self._url}/", data=form, files={"content": (path.name, path.read_bytes())})
        except httpx.HTTPError as error:
            raise self._silent(error) from None
        if answer.status_code == httpx.codes.CONFLICT and not self.missing(distribution, [path]):
            return
        if answer.is_error:
            raise SetupError(f"the private index refuses {path.name}: {answer.status_code} {answer.text.strip()}")

    def _silent(self, error: httpx.HTTPError) -> SetupError:
        return SetupError(f"the private index at {self._url} does not answer ({error}): start it with `make run`")
