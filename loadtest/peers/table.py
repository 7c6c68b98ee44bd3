"""The results as people read them."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from loadtest.machine import describe


def show(results: dict[str, Any], console: Console) -> None:
    console.print(describe(results["machine"]))
    for width in map(str, results["metrics"]):
        console.print(_costs(results, width))
    console.print(
        "cpu: processes on the training host, children included; B/point: on its disk at the end"
    )
    for width, log in results["contenders"].get("stepline", {}).get("log", {}).items():
        console.print(
            f"Stepline's service, {int(width):,} metrics: "
            f"{_number(log['service_cpu_us_per_point'])} µs/point of its own"
        )
    console.print(_kills(results))
    for width, entry in results["ratios"].items():
        console.print(f"log() of {int(width):,} metrics, p50: {_sentence(results, entry)}")


def _costs(results: dict[str, Any], width: str) -> Table:
    table = Table(title=f"{int(width):,} metrics a call", title_justify="left")
    table.add_column("")
    for column in ("p50", "p99", "p99.9", "mean", "max"):
        table.add_column(f"{column} µs", justify="right")
    for column in ("cpu µs/point", "B/point", "finish s", "all ended s", "peak MiB", "calls"):
        table.add_column(column, justify="right")
    for row in results["contenders"].values():
        log = row.get("log", {}).get(width)
        if log is None:
            table.add_row(row["title"], f"[dim]{row.get('error', 'not measured')}[/dim]")
            continue
        table.add_row(
            row["title"],
            *(
                _number(log.get(key))
                for key in ("p50_us", "p99_us", "p999_us", "mean_us", "max_us")
            ),
            _number(log["cpu_us_per_point"]),
            _number(log["disk_bytes_per_point"]),
            _number(log["finish_seconds"]),
            _number(log["tree_seconds"]),
            _number(log["peak_mib"]),
            f"{log['calls']:,}",
            style="bold" if row["title"].startswith("Stepline") else None,
        )
    return table


def _kills(results: dict[str, Any]) -> Table:
    table = Table(title="read back after SIGKILL in a burst", title_justify="left")
    for column in ("", "process alone", "with all its children"):
        table.add_column(column, justify="left" if not column else "right")
    for row in results["contenders"].values():
        kills = row.get("kill")
        if kills:
            table.add_row(row["title"], *(_kept(kills.get(kind)) for kind in ("alone", "tree")))
        elif row["stores"]:
            table.add_row(row["title"], f"[dim]{row.get('error', 'not measured')}[/dim]")
    return table


def _kept(kill: dict[str, Any] | None) -> str:
    if kill is None:
        return "-"
    if "error" in kill:
        return str(kill["error"])
    share = 100 * kill["stored"] / kill["logged"]
    # A loss is never rounded away.
    shown = f"{share:.2f}" if share < 100 else f"{share:g}"
    return f"{kill['stored']:,} of {kill['logged']:,} ({shown} %)"


def _sentence(results: dict[str, Any], entry: dict[str, Any]) -> str:
    parts = []
    if "below_wandb" in entry:
        parts.append(f"{entry['below_wandb']:g} times below wandb (goal 100)")
    if "best_survivor" in entry:
        title = results["contenders"][entry["best_survivor"]]["title"]
        parts.append(
            f"{entry['below_best_survivor']:g} times below {title}, the best peer that survives "
            "SIGKILL (goal 50)"
        )
    return "; ".join(parts) or "no peer to compare with"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
