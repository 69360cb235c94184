"""Build the documentation site without a network: ``make docs``.

    python docs/site/build.py FOLDER

Pages are those of ``docs/``, and some that are made from the code: settings, commands, the list of decisions. Zensical
ends the build if a link or an anchor leads nowhere; what it wrote is then checked for anything loaded from elsewhere.
"""

import contextlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from forecast_core.contracts.settings import Settings

SITE: Final = Path(__file__).resolve().parent
REPOSITORY: Final = SITE.parents[1]
_LOADED: Final = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "object": "data"}


def gather(folder: Path) -> None:
    """Put all pages into ``folder``."""
    shutil.copytree(REPOSITORY / "docs", folder, ignore=shutil.ignore_patterns("site", "*.py"))
    shutil.copy(SITE / "style.css", folder)
    (folder / "settings.md").write_text(settings_page(), encoding="utf-8")
    (folder / "commands.md").write_text(commands_page(), encoding="utf-8")
    (folder / "decisions" / "index.md").write_text(decisions_page(), encoding="utf-8")
    _bring_in(folder, "benchmarks/results/experiments-forecaster.md", "experiments-forecaster.md")
    (folder / "changelog.md").write_text((REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8"), encoding="utf-8")


def _bring_in(folder: Path, path: str, name: str) -> None:
    """Copy the page ``path`` from outside ``docs`` to ``name``, and turn the links between it and the other pages."""
    up = "../" * path.count("/")
    text = (REPOSITORY / path).read_text(encoding="utf-8").replace(f"]({up}docs/", "](")
    (folder / name).write_text(text, encoding="utf-8")
    for page in folder.rglob("*.md"):
        back = "../" * len(page.relative_to(folder).parts)
        here = page.read_text(encoding="utf-8")
        if (link := f"]({back}{path})") in here:
            page.write_text(here.replace(link, f"]({back.removeprefix('../')}{name})"), encoding="utf-8")


def configuration() -> str:
    """Return the site's configuration; pages that it does not name are added to the topics."""
    text = (SITE / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [page.name for page in sorted((REPOSITORY / "docs").glob("*.md"))]
    added = "".join(f"      - {name}\n" for name in pages if not re.search(rf" {re.escape(name)}$", text, re.MULTILINE))
    return text.replace("  - Reference:\n", f"{added}  - Reference:\n", 1)


def settings_page() -> str:
    """Return the page of all settings: of the wheels from ``Settings``, of the stack from ``.env.default``."""
    fields = Settings.model_fields.items()
    ours = [(f"ML_PIPELINE_{name.upper()}", field.default, field.description) for name, field in fields]
    tables: dict[str, list[tuple[str, Any, str | None]]] = {"OF_THE_WHEELS": ours, "OF_THE_STACK": [*_of_stack()]}
    page = (SITE / "settings.md").read_text(encoding="utf-8")
    for place, rows in tables.items():
        lines = [f"| `{name}` | {_default(default)} | {words} |" for name, default, words in rows]
        page = page.replace(place, "\n".join(["| variable | default | |", "|---|---|---|", *lines]))
    return page


def _default(value: Any) -> str:
    return "" if value in (None, "", ()) else f"`{value}`"


def _of_stack() -> Iterator[tuple[str, str, str]]:
    """Name, default and meaning of each setting in ``.env.default`` that ``Settings`` lacks: the comment above it."""
    known = {f"ML_PIPELINE_{name.upper()}" for name in Settings.model_fields}
    text = (REPOSITORY / ".env.default").read_text(encoding="utf-8")
    for block in re.findall(r"((?:^# .*\n)+)((?:^#?ML_PIPELINE_\w+=.*\n?)+)", text, re.MULTILINE):
        words = " ".join(line.removeprefix("# ") for line in block[0].splitlines())
        for name, value in re.findall(r"^#?(ML_PIPELINE_\w+)=(.*)$", block[1], re.MULTILINE):
            if name not in known:
                yield name, value, words


def commands_page() -> str:
    """Return the page of the command ``energy``: what all commands share, then each command's help."""
    command = [sys.executable, "-m", "typer", "app_shell.commands", "utils", "docs", "--name", "energy"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    shared = (SITE / "commands.md").read_text(encoding="utf-8")
    return done.stdout.replace("# `energy`\n", shared, 1)


def decisions_page() -> str:
    """Return the list of decisions."""
    pages = sorted((REPOSITORY / "docs" / "decisions").glob("[0-9]*.md"))
    titles = [(page.name, page.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")) for page in pages]
    lines = [f"- [{title}]({name})" for name, title in titles]
    return "# Decisions\n\nWhy things are as they are: problem, choice, cost.\n\n" + "\n".join(lines) + "\n"


class _Page(HTMLParser):
    """The resources that a page loads, and its links."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.names |= {given[name] for name in ("id", "name") if name in given}
        if address := given.get(_LOADED.get(tag, "")):
            self.loaded.append(address)
        if tag == "a" and "href" in given:
            self.links.append(given["href"])


def faults(site: Path) -> list[str]:
    """Return the resources that a built site loads from other hosts, and its broken links."""
    pages = {}
    for path in site.rglob("*.html"):
        pages[path] = _Page()
        pages[path].feed(path.read_text(encoding="utf-8"))
    found = [
        f"{path.relative_to(site)} loads {address}"
        for path, page in pages.items()
        for address in page.loaded
        if urlsplit(address).netloc
    ]
    for path in site.rglob("*.css"):
        addresses = re.findall(r"(?:url\(|@import )['\"]?((?:https?:)?//[^'\")]+)", path.read_text(encoding="utf-8"))
        found += [f"{path.relative_to(site)} loads {address}" for address in addresses]
    for path, page in pages.items():
        for address in {*page.links, *page.loaded}:
            found += _nowhere(site, path, address, pages)
    return sorted(found)


def _nowhere(site: Path, path: Path, address: str, pages: dict[Path, _Page]) -> Iterator[str]:
    parts = urlsplit(address)
    if parts.scheme or parts.netloc or path.name == "404.html":
        return
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    target = target / "index.html" if target.is_dir() else target
    if not target.is_file():
        yield f"{path.relative_to(site)} leads to {address}, which is not there"
    elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].names:
        yield f"{path.relative_to(site)} leads to {address}, but there is no such place on that page"


def main(folder: Path) -> int:
    """Build the site in ``folder``; return the exit code."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)
    gather(folder / "source")
    shutil.copy(SITE / "examples.py", folder)
    (folder / "mkdocs.yml").write_text(configuration(), encoding="utf-8")
    zensical = [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", str(folder / "mkdocs.yml")]
    done = subprocess.run(zensical, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
        return 1
    if found := faults(folder / "site"):
        sys.stderr.write("".join(f"error: {fault}\n" for fault in found))
        return 1
    sys.stdout.write(f"{folder / 'site' / 'index.html'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
