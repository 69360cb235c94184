"""Where a forecast comes from: what is recorded when one is made, and the way back from it (docs/provenance.md).

``recreate`` needs the extra ``model``; it is imported when it is called.
"""

from forecast_core.provenance.code import installed_code, made_by
from forecast_core.provenance.runs import forecast_rows, run_facts
from forecast_core.provenance.trace import trace

__all__ = ["forecast_rows", "installed_code", "made_by", "run_facts", "trace"]
