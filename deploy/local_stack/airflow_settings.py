"""Airflow's settings for the local stack, as environment variables."""

from local_stack import credentials, database
from local_stack.layout import Layout, process_environment


def environment(layout: Layout) -> dict[str, str]:
    """Return the whole environment of Airflow's processes, and of its command line."""
    merged = process_environment(layout)
    path = f"{layout.executable('airflow', 'python').parent}:{layout.interpreter.parent}:{merged.get('PATH', '')}"
    return {**merged, **settings(layout), "PATH": path}


def settings(layout: Layout) -> dict[str, str]:
    """Return the settings alone; the container set-up keeps to the same names and, where it can, values."""
    return {
        "AIRFLOW_HOME": str(layout.airflow_home),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(layout.airflow_port),
        "AIRFLOW__API__BASE_URL": layout.airflow_url,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__SECRET_KEY_CMD": _command(layout, "airflow-api-secret"),
        "AIRFLOW__API_AUTH__JWT_SECRET_CMD": _command(layout, "airflow-jwt-secret"),
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": credentials.AIRFLOW_ROLES,
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(layout.secrets / "airflow-passwords.json"),
        "AIRFLOW__CORE__FERNET_KEY_CMD": _command(layout, "airflow-fernet-key"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(layout.dags),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{layout.airflow_url}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database.uri(layout),
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
        "AIRFLOW__STANDARD__VENV_INSTALL_METHOD": "uv",
        # A task's first request after the API server's start took 45 s on a busy machine; at 5 s the first try failed.
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
    }


def _command(layout: Layout, secret: str) -> str:
    """Return how Airflow reads a secret itself, so that it is in no process's environment."""
    return f"cat {layout.secrets / secret}"
