"""An S3 service for tests: moto, on loopback, in a process of its own because an upload holds the interpreter lock."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from typing import Any, Final

CREDENTIALS: Final = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
"""Environment variables that a client must have; moto takes any values."""


@contextmanager
def running() -> Iterator[str]:
    """Run the service; give its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _wait_for(port, server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()


def bucket(endpoint: str, name: str) -> dict[str, Any]:
    """Make a bucket; return the settings of a store in it."""
    with closing(HTTPConnection(endpoint.removeprefix("http://"))) as connection:
        connection.request("PUT", f"/{name}")
        assert connection.getresponse().status == 200
    options = {"endpoint_url": endpoint, "allow_http": "true"}
    return {"store_uri": f"s3://{name}/a store", "storage_options": options}


def _wait_for(port: int, server: "subprocess.Popen[bytes]") -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            assert server.poll() is None
            time.sleep(0.05)
        else:
            return
