"""Passwords and keys: generated on the first run, each in a file that only its owner can read."""

import json
import os
import secrets
from base64 import urlsafe_b64encode
from pathlib import Path

from passlib.hash import sha512_crypt

from local_stack.layout import Layout

INDEX_USER = "ml-pipeline"
AIRFLOW_USER = "admin"
AIRFLOW_VIEWER = "viewer"
"""By whom the API asks Airflow about runs."""
AIRFLOW_WATCH = "watch"
"""By whom the DAG ``ml_pipeline_watch`` asks about runs, and fails one that lies in the future."""
AIRFLOW_ROLES = f"{AIRFLOW_USER}:admin,{AIRFLOW_VIEWER}:viewer,{AIRFLOW_WATCH}:user"


def create(layout: Layout) -> None:
    """Generate what is missing; what exists stays."""
    folder = layout.secrets
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    for name in ("index-password", "airflow-api-secret", "airflow-jwt-secret"):
        _write_once(folder / name, secrets.token_urlsafe(32))
    _write_once(folder / "airflow-fernet-key", urlsafe_b64encode(secrets.token_bytes(32)).decode())
    for user in (AIRFLOW_VIEWER, AIRFLOW_WATCH):
        _write_once(folder / f"airflow-{user}-password", secrets.token_urlsafe(16))
    _write_once(folder / "airflow-passwords.json", json.dumps({AIRFLOW_USER: secrets.token_urlsafe(16)}))
    passwords = json.loads(read(layout, "airflow-passwords.json"))
    for user in (AIRFLOW_VIEWER, AIRFLOW_WATCH):
        passwords[user] = read(layout, f"airflow-{user}-password")
    _write(folder / "airflow-passwords.json", json.dumps(passwords))
    password = read(layout, "index-password")
    # bcrypt 5 breaks pypiserver's reader (passlib); SHA-512 crypt is as strong here and is checked in 5 ms.
    _write_once(folder / "htpasswd", f"{INDEX_USER}:{sha512_crypt.using(rounds=5000).hash(password)}\n")
    _write_once(folder / "netrc", f"machine 127.0.0.1 login {INDEX_USER} password {password}\n")


def read(layout: Layout, name: str) -> str:
    """Return the secret in the file ``name``."""
    return (layout.secrets / name).read_text(encoding="utf-8").strip()


def airflow_password(layout: Layout) -> str:
    """Return the password of Airflow's user ``admin``."""
    passwords: dict[str, str] = json.loads(read(layout, "airflow-passwords.json"))
    return passwords[AIRFLOW_USER]


def _write_once(path: Path, text: str) -> None:
    if not path.exists():
        _write(path, text)


def _write(path: Path, text: str) -> None:
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    unfinished.replace(path)
