"""What has been loaded is not looked through for garbage again and again."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def heap_at_rest() -> Iterator[None]:
    """Within, Python's garbage collector leaves everything alone that was there before.

    Imports make a collection of the whole heap due, which then comes in the middle of the work that follows: it stops
    every thread for 50 ms beside this engine alone, and for longer beside Airflow, and finds modules, which stay.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
