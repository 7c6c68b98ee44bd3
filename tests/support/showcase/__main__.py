from __future__ import annotations

import argparse

from tests.support import showcase
from tests.support.showcase.fill import fill


def main() -> None:
    parser = argparse.ArgumentParser(
        description=showcase.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("address", metavar="HOST:PORT")
    parser.add_argument("--small", action="store_true", help="enough for a test")
    options = parser.parse_args()
    fill(options.address, small=options.small)


if __name__ == "__main__":
    main()
