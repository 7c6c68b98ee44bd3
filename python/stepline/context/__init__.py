"""What surrounds a run: from which code, by which command and on which machine it was started.

Gathered when a run starts, within a budget of time, and recorded as control records of its spool.
Nothing here may break or delay training: what cannot be had is left out.
"""

from .choice import PARTS, chosen_parts
from .gathering import Gathering

__all__ = ["PARTS", "Gathering", "chosen_parts"]
