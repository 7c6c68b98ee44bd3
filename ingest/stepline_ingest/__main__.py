"""python -m stepline_ingest: the same as `stepline serve`."""

import sys

from stepline_ingest.main import serve

if __name__ == "__main__":
    sys.exit(serve(sys.argv[1:]))
