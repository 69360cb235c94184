"""Telling people: a line in the log and, where an address is configured, a message to it.

The address is the password of the Airflow connection ``ml_pipeline_alarms``: one or more URLs of Apprise, parted by
spaces (mail, chat, SMS, webhooks: docs/monitoring.md). A password is encrypted in Airflow's database and masked in its
pages and logs. ``.airflowignore`` keeps this file from being read as a DAG.
"""

import logging
from collections.abc import Sequence

CONNECTION = "ml_pipeline_alarms"
TITLE = "Energy forecasts"


def tell(texts: Sequence[str]) -> None:
    """Log messages as warnings and send them, as one, to the configured address.

    Raises:
        RuntimeError: If there is an address and the message could not be sent to all of it; it does not name the
            address.
    """
    for text in texts:
        logging.getLogger(__name__).warning("%s", text)
    address = _address()
    if not texts or not address:
        return
    # Its log may name addresses, and those are secrets.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    from apprise import Apprise

    sender = Apprise()
    understood = [sender.add(each) for each in address.split()]
    if not all(understood):
        raise RuntimeError(f"part {understood.index(False) + 1} of the connection {CONNECTION} is no URL of Apprise")
    if not sender.notify(title=TITLE, body="\n".join(texts)):
        raise RuntimeError(f"the address of the connection {CONNECTION} did not take the message; it is tried again")


def _address() -> str | None:
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        connection = Connection.get(CONNECTION)
    except AirflowNotFoundException:
        return None
    password: str | None = connection.password
    return password
