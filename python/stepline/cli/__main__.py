"""`python -m stepline.cli`."""

import sys

from .main import main

sys.exit(main())
