"""Data Docs: Great Expectations' content in pages that need no network, and an index of a dataset's runs.

Great Expectations' own page loads styles, scripts, fonts and images from six hosts, and is bare without them. Its
content blocks are rendered into a page of ours, which has its few styles inside and no script.
"""

import html
import re
from collections.abc import Sequence
from importlib import resources
from typing import Any, Final

import polars as pl

from feature_pipeline.validation import engine
from feature_pipeline.validation.findings import facts
from forecast_core.quarantine import describe
from forecast_core.validations import ValidationRun

_PAGES: Final = resources.files("feature_pipeline.validation") / "pages"
_MOST_FINDINGS: Final = 200
"""Findings that a page lists, so that a browser opens it at once; the quarantine has all."""
_MOST_RUNS: Final = 240
"""Runs that an index page lists: ten days of hourly runs."""
_SEVERITY: Final = {"passed": "good", "stored with warnings": "warning", "stopped": "error"}


def page(run: ValidationRun, checked: Any, found: pl.DataFrame) -> str:
    """Return the page of one run as HTML.

    Args:
        run: The run.
        checked: Great Expectations' result of it.
        found: FINDINGS, the rows that fail.
    """
    gx = engine.great_expectations()
    checked.meta.setdefault("run_id", {"run_name": run.name, "run_time": None})
    findings = [{**row, "value": describe(row)} for row in found.head(_MOST_FINDINGS).iter_rows(named=True)]
    with resources.as_file(_PAGES) as pages:
        text: str = gx.render.view.DefaultJinjaPageView(custom_views_directory=str(pages)).render(
            gx.render.renderer.ValidationResultsPageRenderer().render(checked),
            template="run.j2",
            facts=facts(run),
            findings=findings,
            more=found.height - len(findings),
            met=checked.success,
            json=f"{run.name}.json",
        )
    # Its links lead to the other pages of a site of Great Expectations, which does not exist.
    return re.sub(r'<a\s[^>]*href="(?:\.\./)+[^>]*>(.*?)</a>', r"\1", text, flags=re.DOTALL)


def index(dataset: str, runs: Sequence[ValidationRun]) -> str:
    """Return the page that lists ``runs``, in the order given, as HTML; from the 241st on they are left out."""
    shown = runs[:_MOST_RUNS]
    parts = {
        "style": (_PAGES / "style.css").read_text(),
        "dataset": html.escape(dataset),
        "count": f"The newest {len(shown)} runs" if len(shown) > 1 else "One run",
        "rows": "\n".join(map(_row, shown)),
    }
    text = (_PAGES / "index.html").read_text()
    for name, part in parts.items():
        text = text.replace(f"{{{name}}}", part)
    return text


def _row(run: ValidationRun) -> str:
    counts = ", ".join(f"{each.expectation} {each.rows}" for each in run.findings)
    return (
        f'<tr><td><a href="{run.name}.html">{run.name}</a></td>'
        f'<td class="severity {_SEVERITY[run.outcome]}">{run.outcome}</td><td>{html.escape(counts)}</td></tr>'
    )
