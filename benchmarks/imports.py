"""What importing Great Expectations costs, as the feature pipeline imports it and as it is, beside pandas.

    .energy/venvs/dev/bin/python benchmarks/imports.py

Prints CPU seconds, each the least of some processes of their own, and their ratio to those of ``import pandas``.
"""

import json
import os
import subprocess
import sys
from typing import Final

TRIES: Final = 3
PROGRAMS: Final = {
    "pandas": "import pandas",
    "pandas, then great_expectations": "import pandas, great_expectations",
    "pandas, then great_expectations as validation imports it": (
        "import pandas; from feature_pipeline.validation import engine; engine.great_expectations()"
    ),
    "the feature pipeline without great_expectations": "import pandas, feature_pipeline.validation.engine",
}


def cpu_seconds(program: str) -> float:
    """Return the least CPU seconds of a few processes that do nothing else."""
    code = f"import time; begun = time.process_time(); {program}; print(time.process_time() - begun)"
    environment = {**os.environ, "GX_ANALYTICS_ENABLED": "false"}
    command = [sys.executable, "-W", "ignore", "-c", code]
    found = [subprocess.run(command, env=environment, capture_output=True, text=True, check=True) for _ in range(TRIES)]
    return min(float(each.stdout) for each in found)


def main() -> None:
    """Measure each program and print the results as JSON."""
    seconds = {name: cpu_seconds(program) for name, program in PROGRAMS.items()}
    result = {
        name: {"cpu_seconds": round(each, 2), "ratio_to_pandas": round(each / seconds["pandas"], 2)}
        for name, each in seconds.items()
    }
    sys.stdout.write(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
