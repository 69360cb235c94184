"""Where a forecast comes from: what is recorded when one is made, and the way back from it (docs/provenance.md)."""

from forecast_core.provenance.code import installed_code, made_by
from forecast_core.provenance.runs import forecast_rows, run_facts

__all__ = ["forecast_rows", "installed_code", "made_by", "run_facts"]
