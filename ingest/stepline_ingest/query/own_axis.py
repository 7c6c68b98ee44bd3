"""Charts that say no axis: they are drawn over what define_metric() set for their metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stepline_ingest.catalogue.axes import defined_axis, is_logged
from stepline_ingest.gen.stepline.v1 import query_pb2
from stepline_ingest.run_record import RunRecord
from stepline_ingest.store.contract import Setting, Store

from .request import METRIC_AXIS, ChartQuery, chart_query


def own_axis(
    store: Store, query: ChartQuery, runs: Sequence[RunRecord], limits: Mapping[str, Setting]
) -> str:
    """What ChartRequest.x would say for the metrics of QUERY; empty for steps. Raises StoreError.

    Groups of runs and logarithmic buckets have no metric as their axis. Nobody asked for one, so
    they are drawn over steps.
    """
    axis = defined_axis(runs, query.metrics)
    if not axis or (axis.startswith(METRIC_AXIS) and (query.group_by or query.log_x)):
        return ""
    return axis if is_logged(store, runs, axis, limits) else ""


def over(request: query_pb2.ChartRequest, axis: str) -> tuple[query_pb2.ChartRequest, ChartQuery]:
    """REQUEST, whose patterns may name its metrics, over AXIS."""
    asked = query_pb2.ChartRequest()
    asked.CopyFrom(request)
    asked.x = axis
    return asked, chart_query(asked, named=False)
