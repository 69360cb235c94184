"""The sources' datasets, one entry each: what their columns mean. A new dataset is a new entry, not new code."""

from dataclasses import dataclass, replace
from typing import Final

from feature_pipeline.de35 import CONSUMER_TYPES_DE35, PRICE_AREAS
from feature_pipeline.wording import some
from forecast_core.contracts.errors import SourceError


@dataclass(frozen=True)
class AreaColumn:
    """The area stands in a column."""

    column: str


@dataclass(frozen=True)
class OneArea:
    """The dataset knows no areas: all rows are of this one."""

    area: str


@dataclass(frozen=True)
class Parts:
    """Rows are of parts of areas (municipalities), named by numbers, and an area's value is the sum over its parts.

    Attributes:
        column: Column of the part's number.
        ranges: First and last number (inclusive) and the area of the numbers between.
        expected: The parts that are known to exist; one that has no rows at all is a warning.
    """

    column: str
    ranges: tuple[tuple[int, int, str], ...]
    expected: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One dataset of a source, in its own columns.

    Attributes:
        name: Names the feature group; the name under which the source publishes it today.
        time: Column of the hours' starts in UTC.
        area: How the area of a row comes about.
        consumer_type: Column of the consumer type.
        energy: Column of the energy.
        kwh_per_unit: Kilowatt-hours in one unit of that column.
        areas: All areas that there are; None if the set is open.
        consumer_types: All consumer types that there are; None if the set is open.
        maximum_kwh: More than any series has in one hour.
        minimum_kwh: Less than any series has in one hour; below 0 where all series may feed in. Release a single series
            from the rule ``negative`` instead.
        days_late: Days after which the source has usually published an hour.
        local_time: Column of the same hours on the Danish clock, if the source has one; ``time`` is compared with it.
    """

    name: str
    time: str
    area: AreaColumn | OneArea | Parts
    consumer_type: str
    energy: str
    kwh_per_unit: float = 1.0
    areas: tuple[str, ...] | None = None
    consumer_types: tuple[str, ...] | None = None
    maximum_kwh: float = 10_000_000.0
    minimum_kwh: float = 0.0
    days_late: int
    local_time: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The source's columns that are used, in the order time, area (if it has a column), consumer type, energy."""
        area = () if isinstance(self.area, OneArea) else (self.area.column,)
        return (self.time, *area, self.consumer_type, self.energy)

    @property
    def series(self) -> tuple[tuple[str, str], ...]:
        """Every series that the dataset has, area and consumer type; none if either set is open."""
        return tuple((area, kind) for area in self.areas or () for kind in self.consumer_types or ())


_MUNICIPALITY_NUMBERS: Final = (
    "101 147 151 153 155 157 159 161 163 165 167 169 173 175 183 185 187 190 201 210 217 219 223 230 240 250 253 259 "
    "260 265 269 270 306 316 320 326 329 330 336 340 350 360 370 376 390 400 410 420 430 440 450 461 479 480 482 492 "
    "510 530 540 550 561 563 573 575 580 607 615 621 630 657 661 665 671 706 707 710 727 730 740 741 746 751 756 760 "
    "766 773 779 787 791 810 813 820 825 840 846 849 851 860"
)
_MUNICIPALITIES: Final = tuple(int(number) for number in _MUNICIPALITY_NUMBERS.split())

_DE35: Final = Dataset(
    name="ConsumptionDE35Hour",
    time="HourUTC",
    area=AreaColumn("PriceArea"),
    consumer_type="ConsumerType_DE35",
    energy="TotalCon",
    areas=PRICE_AREAS,
    consumer_types=CONSUMER_TYPES_DE35,
    days_late=15,
    local_time="HourDK",
)

_DK3619: Final = Dataset(
    name="ConsumptionDK3619IndustryHour",
    time="TimeUTC",
    area=OneArea("DK"),
    # The finer of the two groupings: every DK36 group lies in one DK19 group.
    consumer_type="DK36Code",
    energy="Consumption_MWh",
    kwh_per_unit=1000.0,
    areas=("DK",),
    days_late=18,
    local_time="TimeDK",
)

_INDUSTRY: Final = Dataset(
    name="ConsumptionIndustry",
    time="HourUTC",
    area=Parts("MunicipalityNo", ranges=((101, 400, "DK2"), (410, 999, "DK1")), expected=_MUNICIPALITIES),
    consumer_type="Branche",
    energy="ConsumptionkWh",
    areas=PRICE_AREAS,
    consumer_types=("Erhverv", "Offentligt", "Privat"),
    days_late=15,
    local_time="HourDK",
)

DEMO: Final = replace(_DE35, name="demo-denmark", days_late=0)

DATASETS: Final[dict[str, Dataset]] = {
    "ConsumptionDE35Hour": _DE35,
    "ConsumptionDK3619IndustryHour": _DK3619,
    # Until it was renamed, with its columns of times; one history.
    "ConsumptionDK3619codehour": replace(_DK3619, time="HourUTC", local_time="HourDK"),
    "ConsumptionIndustry": _INDUSTRY,
    "demo-denmark": DEMO,
}
"""The datasets by the names under which sources publish them, former names included."""


def named(name: str) -> Dataset:
    """Return the dataset that a source publishes as ``name``.

    Raises:
        SourceError: If there is no entry for it.
    """
    if name not in DATASETS:
        raise SourceError(
            f"there is no entry for the dataset {name}; there are {', '.join(DATASETS)}: "
            "add one to feature_pipeline.datasets.",
            dataset=name,
            known=list(DATASETS),
        )
    return DATASETS[name]


def in_columns(columns: list[str], *, source: str) -> Dataset:
    """Return the first dataset all of whose columns are among ``columns``.

    Raises:
        SourceError: If there is none; the message names what the nearest one lacks.
    """
    for dataset in DATASETS.values():
        if set(dataset.columns) <= set(columns):
            return dataset
    nearest = max(DATASETS.values(), key=lambda dataset: len(set(dataset.columns) & set(columns)))
    raise SourceError(lacking(nearest, columns, source=source), source=source, columns=columns)


def lacking(dataset: Dataset, columns: list[str], *, source: str) -> str:
    """Return the sentence that says which of the dataset's columns are not among ``columns``."""
    absent = [name for name in dataset.columns if name not in columns]
    return (
        f"{source} lacks the columns {', '.join(absent)}: expected {', '.join(dataset.columns)}, "
        f"found {some([f'{name:.30}' for name in columns], 8) or 'none'}. Use data in the columns of the dataset "
        f"{dataset.name}, or add an entry for it to feature_pipeline.datasets."
    )
