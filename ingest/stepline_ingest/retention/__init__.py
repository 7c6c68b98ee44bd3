"""How long points live: after a time a month of them is replaced by its rollups.

A month is a partition of `raw_points`: what the service received in it (UTC). It goes as a whole,
once its last moment is older than the time that the operator gave. What is kept for ever:

- `raw_cells`: a row for each series, and for each cell of each tier, with what the rollups of the
  points said. Charts, statistics and tables read them beside the points that are there.
- `raw_marks`: the sequences of each writer, so that what is sent again is not stored again.

One attempt to replace a month is a *fill*. Its state is a row of `raw_expiry`:

    filling -> filled -> dropped
        \\-> void

- filling: rows are being written under its number. Nobody reads them.
- filled: it was checked that they say what the points say, while nothing could be inserted. From
  here on they count, and whatever is left of the points is on its way out.
- dropped: the points are gone.
- void: a process died while filling, or the points changed meanwhile. Its rows go.

So a process that dies at any moment leaves one of two cases for the next start: a fill that does
not count and is thrown away, or one that counts and whose points still have to go.

Points that arrive with the clock of an expired month (a clock that jumped) are stored as points of
that month, and the next fill of it adds to what is kept.

months    which months there are, and when each expires
cuts      where lineage cuts attempts
cells     writes the rows of a fill
fill      the states of a fill
keeper    does all this in time
"""

from .fill import expire, recover
from .keeper import Keeper
from .months import Month, find_months, parse_age

__all__ = ["Keeper", "Month", "expire", "find_months", "parse_age", "recover"]
