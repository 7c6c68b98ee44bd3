"""What a process prints, kept with its run: `init(console=...)`.

`tap` listens at standard output and standard error, `fold` makes lines of what passes, `recorder`
records them within limits, and `lines` is how they are read back.
"""

from .recorder import Recorder
from .setting import Console, chosen
from .tap import listen

__all__ = ["Console", "Recorder", "chosen", "listen"]
