"""Charts that go on: stepline.v1.Live.

request   what is asked, checked
source    reads the lines of a chart
lines     one line: which buckets changed, since when
picture   all lines of a chart, and what of them a watcher has not seen
topic     one chart: when it is read again
hub       all charts; what happens in the service reaches them here
foreign   what other services stored
service   streams to watchers
build     puts them together
"""

from .build import build
from .hub import Hub
from .service import LiveService
from .source import reading_for

__all__ = ["Hub", "LiveService", "build", "reading_for"]
