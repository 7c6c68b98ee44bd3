"""Lines whose buckets are even in the logarithm of the step."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import grpc
import numpy as np

from stepline_ingest.errors import ServiceError
from stepline_ingest.metrics import Refusal
from stepline_ingest.schema import tiers

from .blocks import Array
from .cells import first_where, group_starts, last_where
from .log_grid import log_grid
from .panels import Panel
from .reader import Line, LineKey, Reader
from .request import ARGNONFINITE, Range

MAX_CELLS = 20_000_000
"""That are read for one chart."""
_LATEST = 2**63 - 1


def log_lines(
    reader: Reader,
    panel: Panel,
    steps: Range,
    *,
    points: int,
    by_rank: bool,
    ranks: Sequence[int] | None,
    columns: Collection[str],
    moments: bool,
) -> dict[LineKey, Line]:
    """As Reader.lines. Raises StoreError, ServiceError(RESOURCE_EXHAUSTED)."""
    lo = panel.first if steps.start is None else max(panel.first, steps.start)
    hi = panel.end if steps.stop is None else min(panel.end, steps.stop)
    grid = log_grid(lo, hi, points, tiers.WIDTHS)
    lines = len(panel.views) * len(panel.metrics) * (panel.ranks if by_rank else 1)
    if lines * sum(zone.cells.count for zone in grid.zones) > MAX_CELLS:
        raise ServiceError(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            f"{lines} lines over a logarithmic axis take too many cells: ask for fewer points or "
            "lines",
            refusal=Refusal.QUERY_LIMIT,
        )
    parts: dict[LineKey, list[Line]] = {}
    for zone in grid.zones:
        within = Range(max(zone.first, lo), min(zone.end, hi))
        found = reader.lines(
            replace(panel, grid=zone.cells),
            within,
            by_rank=by_rank,
            ranks=ranks,
            columns=columns,
            moments=moments,
        )
        for key, line in found.items():
            parts.setdefault(key, []).append(line)
    bounds = np.array([min(bound, _LATEST) for bound in grid.bounds], np.int64)
    return {key: _joined(lines, bounds) for key, lines in parts.items()}


def _joined(parts: Sequence[Line], bounds: Array) -> Line:
    """The cells of one line, zone after zone, put into buckets."""
    names = parts[0].columns.keys()
    cells = {name: np.concatenate([part.columns[name] for part in parts]) for name in names}
    # A zone of one bucket may begin below the range.
    bucket = np.maximum(np.searchsorted(bounds, cells["x"], side="right") - 1, 0)
    starts = group_starts([bucket])
    here = bucket[starts]
    columns = _merged(cells, starts) | {"x": bounds[here]}
    widths = (bounds[here + 1] - bounds[here]).view(np.uint64)
    tier = max(part.tier for part in parts)
    return replace(parts[0], tier=tier, columns={**columns, "widths": widths}, even=False)


def _merged(cells: Mapping[str, Array], starts: Array) -> dict[str, Array]:
    finite = cells["count"] - cells["nonfinite"]
    some = finite > 0
    known = np.maximum.reduceat(some, starts)
    sizes = np.diff(np.append(starts, len(some)))
    found = {name: np.add.reduceat(cells[name], starts) for name in ("count", "nonfinite")}
    for name, best in (("min", np.fmin), ("max", np.fmax)):
        if name in cells:
            found[name] = best.reduceat(cells[name], starts)
            reached = cells[name] == np.repeat(found[name], sizes)
            found[f"arg{name}"] = _first(cells[f"arg{name}"], reached, cells["x"], starts)
    if "mean" in cells:
        weight = np.add.reduceat(finite, starts)
        share = finite / np.maximum(np.repeat(weight, sizes), 1)
        mean = np.add.reduceat(np.where(some, cells["mean"] * share, 0.0), starts)
        found["mean"] = np.where(known, mean, np.nan)
    if "first" in cells:
        found["first"] = np.where(known, cells["first"][first_where(some, starts)], np.nan)
    if "last" in cells:
        found["last"] = np.where(known, cells["last"][last_where(some, starts)], np.nan)
    if "moment" in cells:
        found["moment"] = np.minimum.reduceat(cells["moment"], starts)
    if ARGNONFINITE in cells:
        bad = cells["nonfinite"] > 0
        found[ARGNONFINITE] = _first(cells[ARGNONFINITE], bad, cells["x"], starts)
    return found


def _first(steps: Array, among: Array, x: Array, starts: Array) -> Array:
    """The least of STEPS in each bucket where AMONG is true; its first x where it never is."""
    least = np.minimum.reduceat(np.where(among, steps, _LATEST), starts)
    found: Array = np.where(np.maximum.reduceat(among, starts), least, x[starts])
    return found
