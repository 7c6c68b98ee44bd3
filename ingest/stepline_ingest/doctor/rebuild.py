"""Rollups that an audit found damaged, built again from the points."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from stepline_ingest.schema import tiers
from stepline_ingest.store.contract import Store
from stepline_ingest.store.errors import StoreError

from .audit import Step
from .finding import Finding, Kind


def rebuild(
    store: Store, findings: Iterable[Finding], *, progress: Callable[[Step], None] = lambda _: None
) -> list[str]:
    """Builds the projections that FINDINGS name again, in all parts. Returns their names.

    Blocks while the engine reads all points once for each. Readers of a part without a projection
    read its points, so nothing is wrong meanwhile, and nothing when it is interrupted.
    Raises StoreError, before anything is changed, when points are damaged or another change of
    them does not end: the engine would try this one, too, again and again.
    """
    findings = list(findings)
    damaged = {finding.rollup for finding in findings}
    names = [name for name in tiers.projections() if name in damaged]
    for kind in (Kind.PART, Kind.MUTATION):
        if names and any(finding.kind is kind for finding in findings):
            raise StoreError(
                f"rollups cannot be built while there are findings of the kind {kind.value}: run "
                "the doctor without --rebuild and do first what it says about them"
            )
    for number, name in enumerate(names):
        progress(Step(f"building {name} again", number, len(names)))
        for change in ("CLEAR", "MATERIALIZE"):
            store.command(
                f"ALTER TABLE {tiers.TABLE} {change} PROJECTION {name}", {"mutations_sync": 1}
            )
    return names
