"""Remove cached task environments that no task will use again.

The maintenance DAG and the local stack both use this. It imports nothing of ours and nothing of Airflow, and reads the
cache as Airflow's ``PythonVirtualenvOperator`` writes it: a folder ``venv-HASH`` is usable if it holds a marker, and
its installer holds the lock ``venv-HASH.lock``. ``.airflowignore`` keeps this file from being read as a DAG.
"""

import fcntl
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

MARKER: Final = "install_complete_marker.json"


def prune(cache: Path, *, deployed: str) -> list[str]:
    """Remove the environments of other deployments, and those whose installation or removal was cut short.

    An environment that is being installed at this moment is left alone. A removal that is killed leaves an environment
    without a marker, which Airflow never uses and the next call removes.

    Args:
        cache: The folder that the tasks have as ``venv_cache_path``; it need not exist.
        deployed: The Airflow Variable ``python_virtualenv_operator_cache_key`` of the deployed version.

    Returns:
        The names of the removed folders.
    """
    removed = []
    for environment in sorted(cache.glob("venv-*/")):
        with _not_being_installed(environment) as is_free:
            if is_free and _made_for(environment) != deployed:
                # Before the rest: a marker on half an environment would let a rollback use it.
                (environment / MARKER).unlink(missing_ok=True)
                shutil.rmtree(environment)
                removed.append(environment.name)
    return removed


@contextmanager
def _not_being_installed(environment: Path) -> Iterator[bool]:
    """Hold Airflow's lock on an environment; give False if an installer holds it."""
    # Appending: Airflow's installer may have just made the file.
    with Path(f"{environment}.lock").open("a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _made_for(environment: Path) -> str | None:
    """Return the cache key that a complete environment was made for; None if it is not complete."""
    try:
        return str(json.loads((environment / MARKER).read_text(encoding="utf-8"))["cache_key"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        # No marker, or half of one: a write that was killed.
        return None
