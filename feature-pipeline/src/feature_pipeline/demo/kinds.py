"""Parameters of the simulated consumers: a table of kinds, and kind and level of each consumer type.

All numbers are invented; only their rough magnitudes follow the real data. The kind of a consumer type is a guess.
"""

from dataclasses import dataclass
from typing import Final

EightHours = tuple[int, int, int, int, int, int, int, int]
"""Relative consumption at 0, 3, ... 21 o'clock local time; linear in between."""


@dataclass(frozen=True)
class Kind:
    """Parameters of one kind of consumer; effects are fractions of its level.

    Attributes:
        workday: Profile of a working day; only ratios to its mean matter.
        day_off: Profile of a Sunday or holiday, in the same unit.
        saturday: Weight of the working-day profile on a Saturday, 0 to 1.
        season: Increase in midwinter, decrease in midsummer.
        heating: Increase from a mild day to a day at 0 °C.
        wind: Change of the logarithm for one standard deviation of wind (wind makes power cheap).
        light: Increase from full daylight to full darkness.
        noise: Standard deviation of the logarithm of everything else.
    """

    workday: EightHours
    day_off: EightHours
    saturday: float = 0.0
    season: float = 0.0
    heating: float = 0.0
    wind: float = 0.0
    light: float = 0.0
    noise: float = 0.03


KINDS: Final = {
    "household": Kind(
        (78, 68, 80, 94, 98, 106, 156, 112), (84, 70, 74, 112, 122, 118, 154, 108), 0.2, 0.10, 0.08, 0.025, 0.06, 0.038
    ),
    "heated home": Kind(
        (92, 90, 100, 100, 94, 98, 122, 104), (93, 90, 94, 108, 100, 104, 120, 102), 0.2, 0.04, 0.95, 0.01, 0.02, 0.035
    ),
    "holiday home": Kind(
        (95, 94, 97, 107, 98, 97, 112, 102), (100, 97, 98, 118, 112, 108, 121, 106), 0.3, -0.10, 0.75, 0.0, 0.04, 0.09
    ),
    "farm": Kind(
        (83, 83, 106, 114, 104, 106, 113, 94), (82, 82, 104, 108, 97, 101, 111, 93), 0.3, 0.02, 0.12, 0.0, 0.02, 0.025
    ),
    "greenhouse": Kind(
        (112, 125, 118, 117, 95, 95, 70, 70), (114, 127, 119, 117, 97, 97, 68, 70), 0.5, 0.45, 0.10, 0.08, 0.35, 0.12
    ),
    "process": Kind(
        (94, 94, 109, 118, 117, 107, 101, 98), (78, 76, 79, 82, 80, 80, 82, 85), 0.45, 0.02, 0.03, 0.0, 0.0, 0.055
    ),
    "workshop": Kind(
        (76, 75, 124, 168, 158, 122, 93, 87), (52, 50, 52, 56, 57, 54, 52, 54), 0.12, 0.05, 0.08, 0.0, 0.02, 0.045
    ),
    "office": Kind(
        (77, 76, 106, 150, 143, 122, 98, 85), (70, 68, 70, 80, 82, 78, 74, 70), 0.12, 0.03, 0.10, 0.0, 0.04, 0.03
    ),
    "shop": Kind(
        (65, 65, 98, 140, 140, 133, 112, 78), (62, 60, 72, 108, 114, 108, 90, 70), 0.65, 0.0, 0.06, 0.0, 0.04, 0.03
    ),
    "leisure": Kind(
        (70, 65, 84, 114, 122, 124, 134, 97), (74, 66, 76, 112, 120, 118, 122, 92), 0.5, 0.03, 0.10, 0.0, 0.06, 0.045
    ),
    "utility": Kind(
        (106, 108, 95, 90, 88, 96, 102, 102), (112, 114, 104, 98, 98, 102, 104, 104), 0.4, 0.12, 0.20, 0.20, 0.0, 0.06
    ),
    "data centre": Kind(
        (97, 95, 97, 102, 104, 103, 102, 100), (95, 94, 94, 97, 99, 99, 98, 97), 0.2, -0.02, 0.0, 0.0, 0.0, 0.01
    ),
    "street light": Kind(
        (96, 92, 104, 100, 100, 100, 106, 106), (97, 90, 98, 100, 100, 100, 106, 106), 0.5, 0.0, 0.0, 0.0, 1.76, 0.012
    ),
    "other": Kind(
        (95, 93, 99, 106, 107, 105, 105, 97), (88, 86, 87, 92, 95, 96, 97, 90), 0.35, 0.05, 0.07, 0.08, 0.02, 0.046
    ),
}

CONSUMERS: Final[dict[str, tuple[str, int, int]]] = {
    "111": ("household", 80_000, 60_000),
    "112": ("heated home", 2_500, 3_000),
    "119": ("household", 30_000, 40_000),
    "121": ("household", 270_000, 150_000),
    "122": ("heated home", 50_000, 50_000),
    "123": ("heated home", 24_000, 7_000),
    "130": ("holiday home", 30_000, 27_000),
    "211": ("farm", 120_000, 26_000),
    "212": ("farm", 20_000, 5_500),
    "215": ("farm", 2_500, 700),
    "220": ("greenhouse", 15_000, 1_200),
    "310": ("process", 70_000, 24_000),
    "320": ("workshop", 8_000, 2_500),
    "330": ("workshop", 12_000, 2_600),
    "340": ("workshop", 11_000, 5_500),
    "350": ("process", 50_000, 27_000),
    "360": ("process", 45_000, 12_000),
    "370": ("workshop", 14_000, 2_000),
    "381": ("workshop", 10_000, 1_200),
    "382": ("workshop", 40_000, 37_000),
    "390": ("workshop", 11_000, 2_400),
    "410": ("office", 20_000, 9_000),
    "421": ("shop", 90_000, 52_000),
    "422": ("office", 49_000, 24_000),
    "431": ("leisure", 23_000, 14_000),
    "432": ("office", 40_000, 44_000),
    "433": ("office", 35_000, 53_000),
    "441": ("utility", 120_000, 55_000),
    "442": ("utility", 27_000, 9_000),
    "443": ("office", 32_000, 30_000),
    "444": ("office", 14_000, 26_000),
    "445": ("shop", 23_000, 19_000),
    "446": ("data centre", 27_000, 24_000),
    "447": ("office", 21_000, 23_000),
    "450": ("street light", 8_000, 4_300),
    "461": ("office", 3_800, 32_000),
    "462": ("office", 3_000, 15_000),
    "999": ("other", 1_100_000, 600_000),
}
"""By consumer type: its kind, and its level in kWh per hour in DK1 and in DK2."""
