"""How much slower than at rest the machine may be on which limits of time are held.

A limit in a test is there to catch what grows with its input, which soon takes many times as long.
A machine that others use takes three times as long for a while, by its CPU time as well.
"""

from __future__ import annotations

import os

PATIENCE = float(os.environ.get("PATIENCE", "3"))
"""`PATIENCE=1` holds everything to its promise, on a machine at rest."""

BUSY_S = 0.5 * (PATIENCE - 1)
"""What a busy machine may add to what waits: a limit is what is promised, and this."""
