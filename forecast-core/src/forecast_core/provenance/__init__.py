"""What is recorded when a forecast is made, and the way back from it (docs/provenance.md).

The way back is ``trace.trace`` and ``recreate.recreate``. They are imported from there: they compute no result, so the
code of a result (``code.made_by``) must not reach them.
"""

from forecast_core.provenance.code import code_digest, installed_code, library_versions, made_by
from forecast_core.provenance.runs import forecast_rows, run_facts

__all__ = ["code_digest", "forecast_rows", "installed_code", "library_versions", "made_by", "run_facts"]
