"""The series of a run that a request for many series selects."""

from collections.abc import Sequence
from typing import Final

from app_api.problems import Refused
from app_api.run_index import Name, RunIndex

_NAMED: Final = 50


def chosen_series(run: RunIndex, areas: Sequence[str] | None, consumer_types: Sequence[str] | None) -> list[Name]:
    """Return the series of a run that are of these areas and consumer types, sorted; None is all.

    Raises:
        Refused: 404 if the run has no series at all of one of the areas or consumer types.
    """
    for position, name, wanted in ((0, "price area", areas), (1, "consumer type", consumer_types)):
        known = sorted({series[position] for series in run.places}) if wanted is not None else []
        if unknown := sorted(set(wanted or ()) - set(known)):
            shown = known[:_NAMED]
            more = f" and {len(known) - len(shown)} more" if len(known) > len(shown) else ""
            detail = f"there is no {name} {', '.join(map(repr, unknown))}; there are {', '.join(shown)}{more}"
            raise Refused(404, detail, allowed=shown)
    return [
        each
        for each in run.places
        if (areas is None or each[0] in areas) and (consumer_types is None or each[1] in consumer_types)
    ]
