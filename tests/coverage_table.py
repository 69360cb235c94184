"""Print how many lines of each distribution the unit tests reach: ``make coverage``, after pytest-cov measured it."""

import io
import json
import sys
from collections import defaultdict
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory

from coverage import Coverage

REPOSITORY = Path(__file__).resolve().parents[1]


def lines_by_distribution() -> dict[str, tuple[int, int]]:
    """Return, by distribution, the number of its statements and of those that ran."""
    measured = Coverage()
    measured.load()
    counts: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    with TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        measured.json_report(outfile=str(report))
        for name, file in json.loads(report.read_text())["files"].items():
            distribution = PurePath(name).parts[0]
            counts[distribution][0] += file["summary"]["num_statements"]
            counts[distribution][1] += file["summary"]["covered_lines"]
    return {name: (total, ran) for name, (total, ran) in sorted(counts.items())}


def table(counts: dict[str, tuple[int, int]]) -> str:
    """Return the table as text.

    >>> print(table({"app-api": (200, 150), "forecast-core": (800, 800)}), end="")
    distribution                 statements    reached
    app-api                             200      75.0 %
    forecast-core                       800     100.0 %
    all                                1000      95.0 %
    """
    text = io.StringIO()
    text.write(f"{'distribution':<28} {'statements':>10} {'reached':>10}\n")
    all_of_them = [sum(part) for part in zip(*counts.values(), strict=True)]
    for name, (total, ran) in [*counts.items(), ("all", all_of_them)]:
        text.write(f"{name:<28} {total:>10} {100 * ran / max(total, 1):>9.1f} %\n")
    return text.getvalue()


if __name__ == "__main__":
    sys.stdout.write(table(lines_by_distribution()))
