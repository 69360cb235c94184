"""What the containers do once per deployment: ``python -m local_stack.containers``, run by the ``deploy`` service.

Publishes the wheels into the index of the compose file, pins them, and creates the stores; Airflow is told of the
pins by a service of its own, for only Airflow's image has Airflow.
"""

import os
import sys

from local_stack import installation
from local_stack.layout import Layout, SetupError
from local_stack.progress import say, step


def deploy(layout: Layout) -> None:
    """Publish, pin, and create what is missing; what is there and unchanged stays."""
    layout.logs.mkdir(parents=True, exist_ok=True)
    with step("wheels built and published"):
        installation.publish(layout)
    with step("pipelines, API and dashboard installed from the index"):
        installation.install_wheels(layout)
    with step("tracking database and Delta tables"):
        installation.create_stores(layout)


def main() -> int:
    """Deploy by the settings in the environment; return the exit code."""
    os.umask(0o022)
    try:
        deploy(Layout.from_environment())
    except SetupError as error:
        say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
