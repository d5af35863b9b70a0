"""How much slower than at rest the machine may be on which limits of time are held.

A limit in a test is there to catch what grows with its input, which soon takes many times as long.
A machine that others use takes twice as long for a while, by its CPU time as well.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE = float(os.environ.get("PATIENCE", "3"))
"""`PATIENCE=1` holds everything to its promise, on a machine at rest."""


@contextmanager
def no_old_garbage() -> Iterator[None]:
    """Leave what thousands of tests left behind out of the collections while a clock runs."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
