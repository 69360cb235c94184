"""Which series of a run are meant; one that it does not have is refused with those that it has."""

from collections.abc import Sequence
from typing import Final

from app_api.problems import Refused
from app_api.run_index import Name, RunIndex

_NAMED: Final = 50


def chosen_series(run: RunIndex, areas: Sequence[str] | None, consumer_types: Sequence[str] | None) -> list[Name]:
    """Return the series of a run that are of these areas and consumer types, sorted; None is all.

    Raises:
        Refused: 404 if the run has an area or a consumer type not at all.
    """
    for position, name, wanted in ((0, "area", areas), (1, "consumer type", consumer_types)):
        if wanted is not None:
            known = {series[position] for series in run.places}
            if unknown := sorted(set(wanted) - known):
                raise _refused(f"there is no {name} {', '.join(unknown)}", known)
    return [
        each
        for each in run.places
        if (areas is None or each[0] in areas) and (consumer_types is None or each[1] in consumer_types)
    ]


def check_series(run: RunIndex, series: Name) -> None:
    """Return if a run has a series.

    Raises:
        Refused: 404 if it has not; it names the areas, or the area's consumer types.
    """
    if series not in run.places:
        raise _no_such_series(run, series)


def _no_such_series(run: RunIndex, series: Name) -> Refused:
    areas = {area for area, _ in run.places}
    if series[0] not in areas:
        return _refused(f"there is no area {series[0]}", areas)
    kinds = {kind for area, kind in run.places if area == series[0]}
    return _refused(f"{series[0]} has no consumer type {series[1]}", kinds)


def _refused(what: str, known: set[str]) -> Refused:
    shown = sorted(known)[:_NAMED]
    more = f" and {len(known) - len(shown)} more" if len(known) > len(shown) else ""
    return Refused(404, f"{what}; there are {', '.join(shown)}{more}", allowed=shown)
