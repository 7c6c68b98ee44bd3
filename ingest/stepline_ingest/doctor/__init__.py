"""`stepline doctor`: audits a store from what is stored in it, and trusts no cache and no rollup.

What a clean report says, as far as rows can say it:
- every sequence of every writer, from 1 to its highest, is stored or recorded as rejected or lost;
- no point, (writer, sequence, metric), is stored twice;
- a writer is one rank of one attempt of one run;
- the rollups (ledger, series, tiers) say what the points say, so marks and charts are right;
- every id has the name that it is the hash of, and whatever is referred to is there;
- what runs show (forks, rewinds, what was brought back) are steps of attempts that are there, and
  no run shows itself by way of another one;
- the files of every part have the checksums that they were written with.

What it cannot say: whether a row once had more metrics, or another value. That takes the client's
data (`stepline verify`).

finding    what is wrong: kind, place, remedy
reading    questions at the store, with limits of memory
pieces     the points cut into ranges of the primary key
sequences, doubles, rollups, names, lineage, parts   one kind of check each
audit      all of them, step by step
rebuild    builds damaged rollups again
"""

from .audit import Report, Step, audit, examine
from .finding import Finding, Kind
from .opening import open_for_audit
from .rebuild import rebuild

__all__ = ["Finding", "Kind", "Report", "Step", "audit", "examine", "open_for_audit", "rebuild"]
