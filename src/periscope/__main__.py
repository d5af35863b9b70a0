"""`python -m periscope`: the command line."""

from __future__ import annotations

import sys

from periscope.cli import main

if __name__ == "__main__":
    sys.exit(main())
