"""The container's entry point, killed at one of its calls: python -m tests.faults.dying_container

It dies once: where the note of a death is, the next container works as usual.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, cast

from client_delivery import container
from tests.faults.killer import Killer, When

AT, WHEN, NOTES = "DIES_AT", "DIES_WHEN", "DIES_NOTES"


def main() -> int:
    """Returns the exit code, if it lives to do so."""
    notes = Path(os.environ[NOTES])
    if notes.exists():
        return container.main()
    killer = Killer(int(os.environ[AT]), cast(When, os.environ[WHEN]), notes)
    killer.install()
    code = container.main()
    killer.finished()
    return code


def definition(like: dict[str, Any], family: str, at: int, when: When, notes: Path) -> dict[str, Any]:
    """A task definition like that one, whose first container dies."""
    (usual,) = like["containerDefinitions"]
    wishes = {AT: str(at), WHEN: when, NOTES: str(notes)}
    dying = {
        **usual,
        "command": ["python", "-m", __name__],
        "environment": [*usual["environment"], *({"name": name, "value": value} for name, value in wishes.items())],
    }
    return {"family": family, "containerDefinitions": [dying]}


if __name__ == "__main__":
    sys.exit(main())
