"""Only the tasks of clients whose rules name a channel pay for its libraries: nothing imports them before that."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[3] / "plugins" / "client_delivery"
COSTLY = (
    "client_delivery.operators.channels",
    "client_delivery.run.channels",
    "client_delivery.notify.bodies",
    "client_delivery.notify.brief",
    "client_delivery.notify.to_client",
    "airflow.providers.http",
    "requests",
)
OF_THEIR_OWN = {"channels", "channels.py", "bodies.py", "brief.py", "to_client.py"}


def imported_with(path: Path) -> set[str]:
    """What is imported as soon as the module is."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_no_module_brings_a_channel_with_it():
    modules = [path for path in PACKAGE.rglob("*.py") if not OF_THEIR_OWN & {path.name, path.parent.name}]
    assert {path.name for path in modules} >= {"post.py", "addressees.py", "rules.py", "mails.py"}
    bringing = {(path.name, name) for path in modules for name in imported_with(path) if name.startswith(COSTLY)}
    assert bringing == set()
    assert imported_with(PACKAGE / "operators" / "channels.py") & {"client_delivery.run.channels"}
    assert imported_with(PACKAGE / "run" / "channels" / "over_http.py") & {"client_delivery.notify.bodies"}
