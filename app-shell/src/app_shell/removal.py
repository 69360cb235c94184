"""The removal of a run's record, in words."""

from rich.text import Text

from forecast_core.run_removal import RemovedRun, RunRecord


def question(record: RunRecord) -> str:
    """Return what removing a record would do."""
    goes = (
        [f"{record['ingested_values']:,} ingested values from {', '.join(record['sources'])}"]
        if record["ingests"]
        else []
    )
    goes += [f"{record['forecasts']:,} forecasts with explanations, metrics and alarms"] if record["forecasts"] else []
    return f"This removes the run at {_named(record)}: {'; '.join(goes) or 'what is left of it'}"


def removed(record: RemovedRun) -> Text:
    """Return what was removed, and what stays."""
    rows = ", ".join(f"{count:,} of {table}" for table, count in record["rows"].items() if count) or "none"
    lines = [f"removed: the run at {_named(record)}", f"rows: {rows}"]
    if record["removed_values"]:
        lines.append(
            f"values: {record['removed_values']:,} that it was the first to give; of these {record['kept_values']:,} "
            f"came again in a later ingest and are known since then, {record['lost_values']:,} are known no more"
        )
    if record["later_runs"]:
        lines.append(
            f"later runs: {record['later_runs']:,} stay as they were archived; made again, they may differ "
            "(`energy lineage --recreate` compares)"
        )
    models = f"model version {', '.join(map(str, record['model_versions']))}" if record["model_versions"] else "models"
    lines.append(f"stays: decisions, {models}, training datasets; `energy run --reference` makes the run again")
    return Text("\n".join(lines))


def _named(record: RunRecord) -> str:
    view = record["feature_view_version"]
    of_view = "no feature view yet" if view is None else f"feature view {view}"
    return (
        f"{record['reference_datetime']} UTC ({of_view}, {record['dataset']}, feature group version "
        f"{record['feature_group_version']})"
    )
