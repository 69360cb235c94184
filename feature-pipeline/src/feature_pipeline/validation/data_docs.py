"""Data Docs: Great Expectations' own pages, in a frame that needs no network, and an index of a dataset's runs.

Great Expectations' page loads styles, scripts, fonts and images from six hosts, and is bare without them. Its content
blocks are rendered here as they are, into a page of ours that has its few styles inside and no script.
"""

import html
import json
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Final

import polars as pl

from feature_pipeline.files import write_text
from feature_pipeline.validation import engine
from forecast_core.quarantine import describe

_PAGES: Final = resources.files("feature_pipeline.validation") / "pages"
_MOST: Final = 200
"""Findings that a page lists; the quarantine has all."""
_RUNS: Final = 240
"""Runs that an index lists; it is made anew in every run."""


def write(page: Path, checked: Any, found: pl.DataFrame, facts: Mapping[str, str]) -> None:
    """Write the page of one run, and the index of the runs of its folder.

    Raises:
        StorageError: If they cannot be written.
    """
    write_text(page, _page(page, checked, found, facts))
    write_text(page.parent / "index.html", _index(page.parent))


def _page(page: Path, checked: Any, found: pl.DataFrame, facts: Mapping[str, str]) -> str:
    gx = engine.great_expectations()

    checked.meta.setdefault("run_id", {"run_name": facts["reference"], "run_time": None})
    with resources.as_file(_PAGES) as pages:
        pages_of_gx = gx.render.view.DefaultJinjaPageView(custom_views_directory=str(pages))
        findings = [{**row, "value": describe(row)} for row in found.head(_MOST).iter_rows(named=True)]
        text: str = pages_of_gx.render(
            gx.render.renderer.ValidationResultsPageRenderer().render(checked),
            template="run.j2",
            facts=facts,
            findings=findings,
            more=found.height - len(findings),
            met=checked.success,
            json=page.with_suffix(".json").name,
        )
    # It links to the pages of a whole site, of which this is the only one.
    return re.sub(r'<a\s[^>]*href="(?:\.\./)+[^>]*>(.*?)</a>', r"\1", text, flags=re.DOTALL)


def _index(folder: Path) -> str:
    """A row per run, newest first, from the JSON results beside the pages."""
    every = sorted(folder.glob("*.json"), reverse=True)
    count = f"{len(every)} runs" if len(every) <= _RUNS else f"The newest {_RUNS} of {len(every)} runs in this folder"
    histories = [f"{each.parent.name}/index" for each in sorted(folder.glob("*/index.html"), reverse=True)]
    links = [f'<tr><td><a href="{each}.html">{each[:-6]}</a></td><td>history</td><td></td></tr>' for each in histories]
    parts = {
        "style": (_PAGES / "style.css").read_text(),
        "dataset": html.escape(folder.name),
        "count": count,
        "rows": "\n".join([*map(_row, every[:_RUNS]), *links]),
    }
    text = (_PAGES / "index.html").read_text()
    for name, part in parts.items():
        text = text.replace(f"{{{name}}}", part)
    return text


def _row(path: Path) -> str:
    found = json.loads(path.read_text())["findings"]
    errors = any(each["severity"] == "error" for each in found)
    state = ("error", "stopped") if errors else ("warning", "stored with warnings") if found else ("good", "stored")
    counts = ", ".join(f"{each['expectation']} {each['rows']}" for each in found)
    return (
        f'<tr><td><a href="{path.stem}.html">{path.stem}</a></td>'
        f'<td class="severity {state[0]}">{state[1]}</td><td>{html.escape(counts)}</td></tr>'
    )
