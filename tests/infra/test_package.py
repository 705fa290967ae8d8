"""What MWAA gets (R9.3): the built artefacts, not the tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile

import pytest

from infra import package
from local.process import ROOT

_LOAD = """
from airflow.dag_processing.dagbag import DagBag
from pathlib import Path
import client_delivery, sys
assert Path(client_delivery.__path__[0]).is_relative_to(Path(sys.argv[2])), client_delivery.__path__
bag = DagBag(sys.argv[1], include_examples=False)
assert not bag.import_errors, bag.import_errors
print("dags:", *sorted(bag.dag_ids))
print("errors:", *sorted(dag.dag_id for dag in bag.dags.values() if "config-error" in dag.tags))
"""


_PAGE = """
import asyncio, httpx
from airflow import plugins_manager
from fastapi import FastAPI
assert not plugins_manager.get_import_errors(), plugins_manager.get_import_errors()
(ours,) = [one for one in plugins_manager.get_fastapi_plugins()[0] if one["name"] == "Deliveries"]
views, _ = plugins_manager._get_ui_plugins()
print("views:", *sorted(f"{one['destination']}={one['href']}" for one in views if one["name"] == "Deliveries"))
root = FastAPI()
root.mount(ours["url_prefix"], ours["app"])
async def ask(path):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=root), base_url="http://airflow") as client:
        return await client.get(ours["url_prefix"] + path)
for path in ("/", "/clients/acme", "/static/page.css"):
    answer = asyncio.run(ask(path))
    assert answer.status_code == 401 and "Sign in" in answer.text, (path, answer.status_code, answer.text)
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return package.build(tmp_path_factory.mktemp("dist"))


def test_the_same_code_makes_the_same_bytes(built, tmp_path):
    for path in package.plugin_files():
        os.utime(path)
    again = package.build(tmp_path)
    assert again.plugins.read_bytes() == built.plugins.read_bytes()
    assert again.requirements.read_bytes() == built.requirements.read_bytes()
    assert again.image_tag == built.image_tag


def test_it_holds_every_file_of_the_plugins_and_nothing_else(built):
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "plugins"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    with zipfile.ZipFile(built.plugins) as archive:
        assert set(archive.namelist()) == {name.removeprefix("plugins/") for name in tracked if name}
    assert ".airflowignore" in archive.namelist(), "without it Airflow runs every module as a plugin of its own"


def test_every_dag_loads_from_the_unpacked_archive_in_a_tree_like_mwaas(built, tmp_path):
    airflow = tmp_path / "usr/local/airflow"
    environment = unpacked(built, tmp_path)
    command = [sys.executable, "-c", _LOAD, str(airflow / "dags"), str(airflow / "plugins")]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    configs = sorted(path.stem for path in (ROOT / "include" / "client_configs").glob("*.yaml"))
    assert configs
    assert f"dags: {' '.join(configs)}\n" in done.stdout
    assert "errors:\n" in done.stdout


def test_r10_airflow_finds_the_deliveries_page_in_the_unpacked_archive_and_nobody_sees_it_unknown(built, tmp_path):
    environment = unpacked(built, tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", _PAGE], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (
        "views: dag=deliveries/clients/{DAG_ID} dag_run=deliveries/runs/{DAG_ID}?run_id={RUN_ID} nav=deliveries/\n"
        in done.stdout
    )


def unpacked(built, tmp_path) -> dict[str, str]:
    """A tree like MWAA's, and the environment of a process in it."""
    airflow = tmp_path / "usr/local/airflow"
    with zipfile.ZipFile(built.plugins) as archive:
        archive.extractall(airflow / "plugins")
    shutil.copytree(ROOT / "dags", airflow / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "include", airflow / "dags" / "include")
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AIRFLOW_HOME": str(airflow),
        "AIRFLOW__CORE__DAGS_FOLDER": str(airflow / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(airflow / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DELIVERY__LEDGER_TABLE": "ledger",
        "AIRFLOW__DELIVERY__MAIL_SENDER": "deliveries@example.org",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/none.db",
        "PYTHONPATH": str(airflow / "plugins"),
    }


def test_requirements_are_those_that_the_tests_ran_with(built):
    assert built.requirements.read_bytes() == (ROOT / "requirements.txt").read_bytes()


def test_with_wheels_mwaa_needs_no_package_index_and_the_image_is_the_same(built, tmp_path):
    wheels = [tmp_path / "b-1-py3-none-any.whl", tmp_path / "a-1-py3-none-any.whl"]
    for wheel in wheels:
        wheel.write_bytes(wheel.name.encode())
    private = package.build(tmp_path / "dist", wheels)
    assert private.requirements.read_text().startswith("--find-links /usr/local/airflow/plugins\n--no-index\n")
    assert private.requirements.read_text().endswith(built.requirements.read_text()), "the same packages"
    with zipfile.ZipFile(private.plugins) as archive:
        assert archive.namelist()[-2:] == ["a-1-py3-none-any.whl", "b-1-py3-none-any.whl"]
        assert archive.read("a-1-py3-none-any.whl") == b"a-1-py3-none-any.whl"
    assert private.image_tag == built.image_tag, "or the image would be pushed again for nothing"
    assert package.build(tmp_path / "again", wheels[::-1]).plugins.read_bytes() == private.plugins.read_bytes()
