"""Lists of metrics: of a run with what can be said of each, and of several runs together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from stepline_ingest.catalogue.definitions import Definition, Definitions
from stepline_ingest.gen.stepline.v1 import query_pb2
from stepline_ingest.lineage import Descent, is_uncut, uncut
from stepline_ingest.store.contract import Setting, Store

from .names import NamesQuery, count_runs, find_names, group_names
from .series import read_lineages, sources
from .summaries import MetricSummary, summarize


def read_metrics(
    store: Store,
    query: NamesQuery,
    descents: Sequence[Descent],
    limits: Mapping[str, Setting],
    *,
    definitions: Definitions | None = None,
    statistics: bool = True,
    grouped: bool = False,
) -> query_pb2.ListMetricsReply:
    """In the order of names. With STATISTICS, which are those of the only run, without names of
    which the run shows no point.

    Raises ServiceError for a bad regular expression, StoreError.
    """
    lineages = read_lineages(store, descents, limits)
    own = [descent.run for descent in descents]
    runs = list(dict.fromkeys([*own, *sources(lineages.values())]))
    said = definitions or Definitions()
    names, total = find_names(store, runs, query, limits)
    reply = query_pb2.ListMetricsReply(total=total)
    if grouped:
        for prefix, count in group_names(store, runs, query, limits):
            reply.groups.add(prefix=prefix, count=count)
    if not statistics:
        counts = count_runs(store, runs, names, limits) if len(descents) > 1 else {}
        for metric, name in names.items():
            message = reply.metrics.add(name=name, runs=min(counts.get(metric, 1), len(descents)))
            _define(message, said.of(name))
        return reply
    (descent,) = descents
    summaries: dict[int, MetricSummary] = {}
    of_uncut = {metric for metric, name in names.items() if is_uncut(name)}
    summarize(store, lineages[descent.run], names.keys() - of_uncut, limits, summaries)
    summarize(store, uncut(descent.run), of_uncut, limits, summaries)
    for metric, name in names.items():
        if metric in summaries:
            message = reply.metrics.add()
            message.CopyFrom(_message(name, summaries[metric]))
            _define(message, said.of(name))
    return reply


def _define(message: query_pb2.Metric, said: Definition) -> None:
    if said != Definition():
        message.definition.CopyFrom(query_pb2.MetricDefinition(**asdict(said)))


def _message(name: str, found: MetricSummary) -> query_pb2.Metric:
    finite = found.count > found.nonfinite
    return query_pb2.Metric(
        name=name,
        count=found.count,
        ranks=len(found.ranks),
        first_step=found.first[0],
        last_step=found.last[0],
        first_value=found.first_value,
        last_value=found.last_value,
        min=found.min,
        max=found.max,
        mean=found.mean,
        min_step=found.min_step if finite else found.first[0],
        max_step=found.max_step if finite else found.first[0],
        nonfinite=found.nonfinite,
        runs=1,
    )
