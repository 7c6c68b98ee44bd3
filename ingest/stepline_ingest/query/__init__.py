"""Reading: from a request to one plan, from the plan to as few statements as will do, from their
columns to the answer.

request    what is asked, checked
series     what is stored: statistics and lineage, read fresh
lineage    which attempt is visible where
grid       the buckets of a chart
plan       which steps come from raw points, which from a tier
chart_sql  the statement of a plan
buckets    packed results to columns
axes       where buckets lie on the axis of another metric
chart, history, export, metrics, sql   the answers
service    stepline.v1.Query
"""

from .service import QueryService

__all__ = ["QueryService"]
