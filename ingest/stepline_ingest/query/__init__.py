"""Reading: from a request to one plan, from the plan to as few statements as will do, from their
columns to the answer.

request    what is asked, checked
series     what is stored: statistics and lineage, kept until points change
lineage    which attempt is visible where
grid       the buckets of a chart
panels     which lines share their buckets
plan       which steps come from raw points, which from a tier
chart_sql  the statements of a plan
tier_table rollups read from their projections as from tables, and which parts have them
tier_cells cells of the parts that have rollups and of those that have none yet
kept_cells cells that serve the next chart as well
reader     runs the statements of a panel
parallel   statements at the same time
raw_cells  points to buckets
cells      buckets from several statements put together
means      means that no order of adding changes
buckets    packed results to columns
axes       where buckets lie on the axis of another metric
answers    those that are known already
chart, history, export, metrics, sql   the answers
service    stepline.v1.Query
"""

from .service import QueryService

__all__ = ["QueryService"]
