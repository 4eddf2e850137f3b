"""Medians, ratios and a Markdown table of the measured runs."""

from statistics import median
from typing import Any

COSTS = {"cpu_s": ("CPU", "s", 2), "wall_s": ("wall", "s", 2), "peak_mib": ("peak memory", "MiB", 0)}


def summarise(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the median costs and stages of each contender, and the ratios stock / ours."""
    summary: dict[str, Any] = {}
    for name in ("stock", "ours"):
        own = [run for run in runs if run["name"] == name]
        summary[name] = {cost: median(run[cost] for run in own) for cost in COSTS}
        summary[name] |= {
            f"stage_{kind}": median_stages([run[kind] for run in own], [run[total] for run in own])
            for kind, total in (("seconds", "wall_s"), ("cpu_seconds", "cpu_s"))
        }
    summary["ratio"] = {cost: summary["stock"][cost] / summary["ours"][cost] for cost in COSTS}
    return summary


def median_stages(stages: list[dict[str, float]], totals: list[float]) -> dict[str, float]:
    """Return the median of each stage and, where there are stages, of the rest of the process."""
    if not all(stages):
        return {}
    medians = {stage: median(run.get(stage, 0.0) for run in stages) for run in stages for stage in run}
    rest = median(total - sum(run.values()) for run, total in zip(stages, totals, strict=True))
    return {**medians, "rest": rest}


def markdown(report: dict[str, Any]) -> str:
    """Return the report as Markdown."""
    parts = [_conditions(report), _costs(report["summary"]), _masks(report["comparison"])]
    parts += [_stages(name, report["summary"][name]) for name in ("stock", "ours")]
    return "\n\n".join(filter(None, parts)) + "\n"


def summary_of(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the median costs of one contender, and the CPU seconds of each stage."""
    costs = {cost: median(run[cost] for run in runs) for cost in COSTS}
    return {**costs, "stages": median_stages([run["cpu_seconds"] for run in runs], [run["cpu_s"] for run in runs])}


def app_tables(title: str, summaries: dict[str, dict[str, Any]], aims: dict[str, tuple[float, float]]) -> str:
    """Return the tables of an app on a study: whole process and stages of each contender.

    aims  CPU seconds and MiB that each contender should stay below
    """
    names = tuple(summaries)
    rows = [
        (f"{label}, {unit}", *(f"{summaries[name][cost]:.{digits}f}" for name in names))
        for cost, (label, unit, digits) in COSTS.items()
    ]
    below = [f"{aims[name][0]:.0f} CPU s, {aims[name][1]:.0f} MiB" for name in names]
    stages = dict.fromkeys(stage for name in names for stage in summaries[name]["stages"])
    by_stage = [(stage, *(f"{summaries[name]['stages'].get(stage, 0.0):.2f}" for name in names)) for stage in stages]
    parts = [
        f"**{title}**",
        table(("whole process", *names), [*rows, ("aim, below", *below)]),
        table(("stage, CPU s", *names), by_stage),
    ]
    return "\n\n".join(parts) + "\n"


def missed(summaries: dict[str, dict[str, Any]], aims: dict[str, tuple[float, float]]) -> list[str]:
    """Return the aims that are not reached."""
    return [
        f"{name}: {found['cpu_s']:.1f} CPU s, {found['peak_mib']:.0f} MiB"
        for name, found in summaries.items()
        if found["cpu_s"] >= aims[name][0] or found["peak_mib"] >= aims[name][1]
    ]


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---", *["---:"] * (len(head) - 1)), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _conditions(report: dict[str, Any]) -> str:
    study, versions = report["study"], report["versions"]
    lines = [
        f"{report['cpu']}, {report['cpus']} CPUs; {study['files']} files, {study['mib']} MiB; "
        f"medians of {report['repeat']} runs each, in alternation, page cache warm."
    ]
    for name in ("stock", "ours"):
        lines.append(f"- {name}: {', '.join(f'{key} {value}' for key, value in versions[name].items())}")
    return "\n".join([lines[0], "", *lines[1:]])


def _costs(summary: dict[str, Any]) -> str:
    rows = []
    for cost, (label, unit, digits) in COSTS.items():
        stock, ours = (f"{summary[name][cost]:.{digits}f}" for name in ("stock", "ours"))
        rows.append((f"{label}, {unit}", stock, ours, f"{summary['ratio'][cost]:.1f}"))
    return table(("whole process", "stock", "ours", "stock / ours"), rows)


def _masks(masks: dict[str, Any]) -> str:
    apart = f"grids at most {masks['corners_apart_mm']:.4f} mm apart"
    if not masks["same_grid"]:
        return f"Masks: not on the same grid ({apart}), so not compared."
    other = "" if masks["same_series"] else " The two refer to different series."
    return (
        f"Masks: Dice {masks['dice']:.4f}, {masks['different_voxels']} voxels differ "
        f"({masks['voxels'][0]} stock, {masks['voxels'][1]} ours); {apart}.{other}"
    )


def _stages(name: str, summary: dict[str, Any]) -> str:
    wall, cpu = summary["stage_seconds"], summary["stage_cpu_seconds"]
    rows = [
        (stage, *(f"{of[stage]:.2f}" if stage in of else "" for of in (cpu, wall)))
        for stage in dict.fromkeys([*cpu, *wall])
    ]
    return table((f"stage of {name}", "CPU s", "wall s"), rows) if rows else ""
