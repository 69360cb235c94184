"""The page of skill figures: tables and charts from ``benchmarks/results/skill-*.json``."""

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

OURS, PEER, GOAL = "#0072b2", "#999999", "#d55e00"
IN_THE_OVERVIEW = {
    "denmark": "Denmark, 76 series\n30 days of history",
    "eia-30-days": "USA, 117 series\n30 days of history",
    "eia-years": "USA, 117 series\nup to 3 years of history",
}
SHOWN_PEERS = {
    "mlforecast-log-diff24": "mlforecast",
    "skforecast": "skforecast",
    "mstl-ets": "MSTL + ETS",
    "course": "the course's model",
    "naive24": "seasonal naive",
}
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
HEAD = """# How good the forecasts are

Written by `make bench-skill` from `benchmarks/results/skill-*.json`. The head of `benchmarks/skill.py` describes the
protocol; [experiments](../benchmarks/results/experiments-forecaster.md) says what was chosen on which data.

- *WAPE*: sum of absolute errors divided by the sum of values.
- *share*: WAPE divided by the WAPE of the seasonal naive forecast, which repeats the value of 24 hours earlier. Less is
  better; 1 is as good as the naive forecast.
- *rMAE24*: mean over series of MAE divided by the naive forecast's MAE.
- *our difference*: ours minus the other's, negative where ours is better, with 95 % bootstrap bounds.
- *WQL*: weighted quantile loss. *Coverage*: share of the actual values inside the 80 and 90 % intervals.
"""


def write(results: Path, page: Path) -> None:
    """Write the page and its pictures from all results that have slices."""
    text = [HEAD]
    for file in sorted(results.glob("skill-*.json")):
        result = json.loads(file.read_text(encoding="utf-8"))
        if "slices" not in result:
            continue
        name = file.stem
        picture = page.parent / "images" / f"{name}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        _draw(result, picture)
        text += [_section(name.removeprefix("skill-"), result, f"images/{picture.name}")]
    page.write_text("\n".join(text), encoding="utf-8")
    draw_overview(results, page.parent / "images" / "skill-overview.png")


def draw_overview(results: Path, picture: Path) -> None:
    """Draw the README's chart: the WAPE of each forecaster divided by the seasonal naive forecast's, by data set."""
    figure, panels = plt.subplots(1, len(IN_THE_OVERVIEW), figsize=(11, 2.9), layout="constrained", sharex=True)
    for axes, (name, title) in zip(panels, IN_THE_OVERVIEW.items(), strict=True):
        shares = json.loads((results / f"skill-{name}.json").read_text(encoding="utf-8"))["wape_share_of_naive24"]
        bars = [("ours", shares["forecaster"], OURS)]
        for peer, label in SHOWN_PEERS.items():
            # With years of data, a peer runs on several lengths of history: its best one is shown.
            of_peer = [share for method, share in shares.items() if method.partition("@")[0] == peer]
            bars.append((label, min(of_peer), PEER))
        bars.sort(key=lambda bar: -bar[1])
        axes.barh([label for label, _, _ in bars], [share for _, share, _ in bars], color=[bar[2] for bar in bars])
        for row, (_, share, _) in enumerate(bars):
            axes.text(share, row, f" {share:.2f}", va="center", fontsize=9)
        axes.set_title(title, fontsize=10)
        axes.set_xlim(0, 1.2)
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("WAPE divided by the seasonal naive forecast's: less is better", fontsize=9)
    figure.savefig(picture, dpi=110)
    plt.close(figure)


def _section(name: str, result: dict[str, Any], picture: str) -> str:
    rows = []
    for method, figures in sorted(result["figures"].items(), key=lambda each: each[1]["rMAE24"]):
        share, known = result["wape_share_of_naive24"][method], result["difference_to"].get(method)
        differences = [_with_bounds(known[key]) for key in ("share", "rmae24")] if known else ["", ""]
        ranges = [f"{figures[key]:.3f}" if figures.get(key) is not None else "" for key in ("WQL", "cov80", "cov90")]
        bold = "**" if method == "forecaster" else ""
        label = "ours" if method == "forecaster" else method
        cells = [f"{bold}{label}{bold}", f"{figures['WAPE']:.4f}", f"{share:.3f}", f"{figures['rMAE24']:.3f}"]
        rows.append("| " + " | ".join([*cells, *differences, *ranges]) + " |")
    slices = result["slices"]["forecaster"]
    series = slices["series"]
    worst = ", ".join(f"{each['of']} {each['share']:.2f}" for each in series[::-1][:3])
    best = ", ".join(f"{each['of']} {each['share']:.2f}" for each in series[:3])
    gap = f", first forecast hour {result['gap_hours']} h after the last observation" if result["gap_hours"] else ""
    cost = ", ".join(f"{key} {value:.1f}" for key, value in result["seconds_per_origin"].items() if "cpu" in key)
    return f"""
## {name}

{result["data"]}: {result["origins"]} origins from {result["first_cutoff"][:16]} UTC on, at most
{result["days_of_history"]} days of history{gap}. Commit `{result["machine"]["commit"][:8]}`; seconds an origin: {cost}.

| method | WAPE | share | rMAE24 | our difference in share | in rMAE24 | WQL | coverage 80 | coverage 90 |
|---|---|---|---|---|---|---|---|---|
{chr(10).join(rows)}

![{name}]({picture})

Peaks (top 5 % of each series' hours): share {slices["peaks"]["share"]:.3f}. Series better than the naive forecast:
{sum(each["share"] < 1 for each in series)} of {len(series)}. Best: {best}. Worst: {worst}.
"""


def _with_bounds(difference: dict[str, float]) -> str:
    return f"{difference['difference']:+.3f} ({difference['low']:+.3f} to {difference['high']:+.3f})"


def _draw(result: dict[str, Any], picture: Path) -> None:
    figure, axes = plt.subplots(2, 2, figsize=(11, 7.5), layout="constrained")
    ours, peer = result["slices"]["forecaster"], result["slices"][result["best_peer"]]
    _bars(axes[0, 0], result)
    for slices, colour, label in ((ours, OURS, "ours"), (peer, PEER, result["best_peer"])):
        leads = slices["lead"]
        axes[0, 1].plot([each["of"] for each in leads], [each["share"] for each in leads], color=colour, label=label)
        days = slices["weekday"]
        offset = -0.2 if label == "ours" else 0.2
        axes[1, 1].bar([each["of"] + offset for each in days], [each["share"] for each in days], 0.4, color=colour)
    axes[0, 1].set(title="share of the naive error by lead hour", xlabel="hours after the last observation")
    axes[0, 1].set_ylim(bottom=0)
    axes[0, 1].legend(frameon=False)
    days = [each["of"] for each in ours["weekday"]]
    axes[1, 1].set_xticks(days, [WEEKDAYS[day - 1] for day in days])
    axes[1, 1].set_title("share of the naive error by weekday (UTC)")
    for name, goal in (("coverage_80", 0.8), ("coverage_90", 0.9)):
        leads = ours["lead"]
        axes[1, 0].plot([each["of"] for each in leads], [each[name] for each in leads], color=OURS)
        axes[1, 0].axhline(goal, color=GOAL, linestyle="--", linewidth=1)
    axes[1, 0].set(
        title="share of actual values inside our 80 and 90 % intervals", xlabel="hours after the last observation"
    )
    axes[1, 0].set_ylim(0.5, 1)
    for each in axes.flat:
        each.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture, dpi=110)
    plt.close(figure)


def _bars(axes: Axes, result: dict[str, Any]) -> None:
    ranked = sorted(result["figures"], key=lambda name: -result["figures"][name]["rMAE24"])
    for index, name in enumerate(ranked):
        share, relative = result["wape_share_of_naive24"][name], result["figures"][name]["rMAE24"]
        colour = OURS if name == "forecaster" else PEER
        axes.barh(index + 0.18, share, 0.34, color=colour)
        axes.barh(index - 0.18, relative, 0.34, color=colour, alpha=0.5)
        axes.text(share, index + 0.18, f" {share:.2f}", va="center", fontsize=8)
        axes.text(relative, index - 0.18, f" {relative:.2f}", va="center", fontsize=8)
    axes.set_yticks(range(len(ranked)), ["ours" if name == "forecaster" else name for name in ranked])
    axes.set_title("share of the naive WAPE (full), rMAE24 (pale)")
