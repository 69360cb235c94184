"""The price areas and consumer types of the Danish dataset ConsumptionDE35Hour."""

from typing import Final

PRICE_AREAS: Final = ("DK1", "DK2")
CONSUMER_TYPES_DE35: Final = tuple(
    # Thirty-eight codes read better as one text than as one line each.
    "111 112 119 121 122 123 130 211 212 215 220 310 320 330 340 350 360 370 381 382 390 410 421 422 431 432 433 "  # noqa: SIM905
    "441 442 443 444 445 446 447 450 461 462 999".split()
)
"""The DE35 consumer types of Energi Data Service, for each of which both price areas have a series."""

SERIES_DE35: Final = tuple((area, consumer_type) for area in PRICE_AREAS for consumer_type in CONSUMER_TYPES_DE35)
