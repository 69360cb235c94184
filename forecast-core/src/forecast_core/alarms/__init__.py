"""Alarms: what was found wrong at each reference time, since when, and whether anybody was told.

Stored are checks: each evaluation keeps how every kind of alarm stood. Alarms are derived from the checks, as of any
reference time, so evaluations may come in any order, or twice, and the alarms are the same.
"""

from forecast_core.alarms.derivation import derive
from forecast_core.alarms.schema import ALARMS, CHECKS, DUE, NOTICES, OVERALL, TABLES, Source
from forecast_core.alarms.store import Alarms
from forecast_core.alarms.tuning import tuning_is_due

__all__ = ["ALARMS", "CHECKS", "DUE", "NOTICES", "OVERALL", "TABLES", "Alarms", "Source", "derive", "tuning_is_due"]
