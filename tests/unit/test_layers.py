"""Who may import whom (docs/developers/guide.md): the core never imports Airflow, and nothing imports the DAG files."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "plugins" / "client_delivery"
DOCKERFILE = ROOT / "docker" / "transfer" / "Dockerfile"
AIRFLOW_ALLOWED = ("operators", "building", "dag", "web")
MODULES = sorted(PACKAGE.rglob("*.py"))
OPERATORS = sorted((PACKAGE / "operators").rglob("*.py"))
KNOWN = {".".join(path.relative_to(ROOT / "plugins").with_suffix("").parts): path for path in MODULES}
"""By the dotted name."""
LOCAL = sorted(path for path in (ROOT / "local").rglob("*.py") if "node_modules" not in path.parts)
ROOMS = (
    *("calendar", "config", "notify", "runtime", "transfer", "access", "ledger", "pickup"),
    *("run", "container", "probe", "operators", "web", "building", "dag"),
)
"""Each imports only from those before it, so there is no circle."""
ENGINE = ("transfer", "http", "s3_wire", "reading", "objects", "s3", "gcs", "sftp", "treatment", "delivering")
"""The folders of ``transfer/``, in the same order; the first is what lies directly in it."""


def imports(path: Path) -> set[str]:
    """Every module that the file imports, anywhere in it: ``import x`` and ``from x import y``."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def imported_at_run_time(path: Path) -> set[str]:
    """As :func:`imports`, less what only a type checker reads."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_there_is_something_to_check():
    assert len(MODULES) > 20


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_keep_to_the_layers(path):
    imported = imports(path)
    if part(path) not in AIRFLOW_ALLOWED:
        assert not {name for name in imported if name.split(".")[0] == "airflow"}, (
            f"only {AIRFLOW_ALLOWED} know Airflow"
        )
        assert not {name for name in imported if name.startswith(("client_delivery.operators", "client_delivery.dag"))}
    assert not {name for name in imported if name.split(".")[0] == "dags"}
    if part(path) != "dag":
        assert not {name for name in imported if name.startswith("client_delivery.dag")}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_from_those_before_it(path):
    if path == PACKAGE / "__init__.py":
        return
    own = ROOMS.index(part(path))
    used = {name.split(".")[1] for name in imports(path) if name.startswith("client_delivery.")}
    assert {room for room in used if ROOMS.index(room) > own} == set()


def test_a_folder_of_the_engine_imports_only_from_those_before_it():
    known = {name: path for name, path in KNOWN.items() if name.startswith("client_delivery.transfer.")}
    folders = {name: path.parent.name for name, path in known.items()}
    arrows = {(name, used) for name, path in known.items() for used in imports(path) & known.keys()}
    assert len(arrows) > 100
    assert [
        f"{name} -> {used}"
        for name, used in sorted(arrows)
        if ENGINE.index(folders[used]) > ENGINE.index(folders[name])
    ] == []


def test_no_module_imports_another_in_a_circle():
    """Not even for a type checker, or inside a function."""
    graph = {module: (imports(path) & KNOWN.keys()) - {module} for module, path in KNOWN.items()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(KNOWN)


@pytest.mark.parametrize("path", OPERATORS, ids=lambda path: path.name)
def test_operators_hold_no_rule_of_what_is_sent(path):
    """They translate: what a run does is in ``run/``. An operator that decides about files would import these."""
    wings = {f"client_delivery.ledger.{wing}" for wing in ("table", "assigning", "attempts", "decisions", "endings")}
    rules = {"client_delivery.pickup.intake", "client_delivery.transfer.delivering.batch", *wings}
    assert not imports(path) & rules


@pytest.mark.parametrize("path", OPERATORS, ids=lambda path: path.name)
def test_operators_do_not_reach_each_other_through_the_dag(path):
    assert ".get_task(" not in path.read_text()


def test_the_image_has_every_room_that_the_container_imports():
    """Wherever an import stands: one inside a function is met only when that function is called."""
    copied = set(re.findall(r"^COPY plugins/client_delivery/(\w+) ", DOCKERFILE.read_text(), re.MULTILINE))
    todo, seen = ["client_delivery.container"], set()
    while todo:
        module = todo.pop()
        if module in KNOWN and module not in seen:
            seen.add(module)
            todo += imported_at_run_time(KNOWN[module])
    assert {part(KNOWN[module]) for module in seen} - {"container"} <= copied


@pytest.mark.parametrize("path", LOCAL, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_stand_ins_do_not_read_the_ledger_as_the_product_does(path):
    """What the product wrote and read wrongly in the same way would look right to both."""
    assert not imports(path) & {"client_delivery.ledger.entry.Entry", "client_delivery.ledger.expressions"}
    assert "from_item" not in path.read_text()


def test_relative_imports_are_not_used():
    """They would pass the rule above unseen."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            assert not (isinstance(node, ast.ImportFrom) and node.level), path


def test_the_dag_file_imports_only_delivery_dag():
    imported = {name for name in imports(ROOT / "dags" / "client_deliveries.py") if not name.startswith("pathlib")}
    assert imported == {"client_delivery.dag", "client_delivery.dag.deliveries"}


def test_init_files_are_empty():
    assert [path for path in MODULES if path.name == "__init__.py" and path.read_text()] == []


def test_the_core_imports_with_airflow_blocked():
    """What the container needs must work where no Airflow is installed."""
    core = [
        ".".join(path.relative_to(ROOT / "plugins").with_suffix("").parts)
        for path in MODULES
        if part(path) not in AIRFLOW_ALLOWED and path.name != "__init__.py"
    ]
    code = f"import sys; sys.modules['airflow'] = None\nfor name in {core!r}: __import__(name)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(ROOT / "plugins"), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
