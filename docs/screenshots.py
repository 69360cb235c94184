"""Take the screenshots in ``docs/images`` from a running dashboard: ``make screenshots``."""

import argparse
import os
import shutil
import statistics
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
WIDE, NARROW = (1400, 900), (400, 860)
PICTURES = {
    "dashboard-forecasts": ("?area=DK1&consumer_type=111", WIDE, "light"),
    "dashboard-map": ("map", WIDE, "light"),
    "dashboard-accuracy": ("accuracy", WIDE, "dark"),
    "dashboard-runs": ("runs", WIDE, "light"),
    "dashboard-narrow": ("?area=DK1&consumer_type=111", NARROW, "dark"),
}
DRAWN = "[data-testid=stApp][data-test-script-state=notRunning]"
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint').map(entry => entry.startTime)[0]"
TIMES = 5


def take(browser: Browser, address: str, folder: Path) -> None:
    """Write every picture."""
    for name, (path, (width, height), theme) in PICTURES.items():
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=theme,  # type: ignore[arg-type]
        )
        page = opened(context.new_page(), f"{address}/{path}")
        page.wait_for_timeout(2000)
        page.screenshot(path=folder / f"{name}.png")
        context.close()


def opened(page: Page, address: str) -> Page:
    """Open an address; return the page when it is drawn completely."""
    page.goto(address)
    page.wait_for_selector(DRAWN, timeout=60_000)
    page.wait_for_selector("h1", timeout=60_000)
    page.wait_for_function("() => !document.querySelector('[data-testid=stSkeleton]')", timeout=60_000)
    return page


def first_paints(browser: Browser, address: str) -> dict[str, float]:
    """Return, in seconds, the median time to first paint, and to a forecast's chart, of an empty browser."""
    paints, charts = [], []
    for _ in range(TIMES):
        context = browser.new_context(viewport={"width": WIDE[0], "height": WIDE[1]})
        page = opened(context.new_page(), address)
        page.wait_for_selector("[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg")
        charts.append(page.evaluate("performance.now()") / 1000)
        paints.append(page.evaluate(FIRST_PAINT) / 1000)
        context.close()
    return {"first_paint_seconds": statistics.median(paints), "chart_seconds": statistics.median(charts)}


def main() -> None:
    """Take the pictures and print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", default="http://127.0.0.1:8501", help="default: %(default)s")
    parser.add_argument("--folder", type=Path, default=Path(__file__).with_name("images"))
    options = parser.parse_args()
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if program is None:
        sys.exit("error: Chromium is missing: `apt install chromium`, or set CHROMIUM to its program")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        take(browser, options.address, options.folder)
        for name, seconds in first_paints(browser, options.address).items():
            sys.stdout.write(f"{name}: {seconds:.2f}\n")
        browser.close()


if __name__ == "__main__":
    main()
