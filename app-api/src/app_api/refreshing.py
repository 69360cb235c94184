"""The background task that keeps what is served up to date."""

import asyncio

from app_api.served import Served


async def keep_fresh(served: Served) -> None:
    """Look at the tables again and again until cancelled; no other error ends it."""
    while True:
        try:
            # A look reads files, so it runs in a thread.
            await asyncio.to_thread(served.look)
        except Exception as error:
            served.failed(error)
        await asyncio.sleep(served.settings.api_refresh_seconds)
