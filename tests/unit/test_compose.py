"""docker-compose.yaml as a text: what it promises about safety, and that it names what the stand-ins are."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from local.compose import places, sync

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
SERVICES = COMPOSE["services"]
ONE_SHOT = {"migrate", "secrets", "transfer-image", "samples"}


class NoKey(places.ComposeStandIns):
    gcs_key = "{}"


def test_the_workers_environment_is_the_stand_ins():
    own = SERVICES["scheduler"]["environment"]
    for name, value in NoKey().environment().items():
        if name == "AIRFLOW__SECRETS__BACKEND_KWARGS":
            assert json.loads(own[name].replace("$$", "$")) == json.loads(value)
        else:
            assert own[name] == value, f"{name}: docker-compose.yaml and local/stand_ins.py differ"


def test_r9_2_the_four_parts_of_airflow_and_its_workers_share_one_environment():
    parts = ["api-server", "scheduler", "dag-processor", "triggerer", "worker", "migrate"]
    assert {yaml.dump(SERVICES[part]["environment"]) for part in parts} == {
        yaml.dump(SERVICES["scheduler"]["environment"])
    }


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_service_is_hardened(name):
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert service["user"] == ("0" if name == "ecs" else "10001")
    for port in service.get("ports", []):
        assert port.startswith("127.0.0.1:"), f"{name} can be reached from other machines: {port}"


def test_only_one_service_can_reach_the_docker_engine():
    holders = [name for name, service in SERVICES.items() if "docker.sock" in yaml.dump(service.get("volumes", []))]
    assert holders == ["ecs"]


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - ONE_SHOT))
def test_every_service_that_stays_says_when_it_is_healthy(name):
    assert SERVICES[name]["healthcheck"]["test"]


def test_start_order_is_by_condition():
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
            assert how["condition"] == expected, f"{name} -> {other}"


def test_images_are_built_here_each_once():
    bases = set()
    built = [(service["image"], service["build"]) for service in SERVICES.values() if "build" in service]
    for _, build in built:
        recipe = (ROOT / build["dockerfile"]).read_text()
        for base in re.findall(r"^FROM (\S+)", recipe, re.MULTILINE):
            bases |= set(re.findall(r"^ARG BASE=(\S+)$", recipe, re.MULTILINE) if base == "${BASE}" else [base])
    # The container's base is pinned by its digest; the name before it is what people read.
    assert {base.partition("@")[0] for base in bases} == {"python:3.12-slim", "postgres:16"}
    assert sorted(image for image, _ in built) == sorted({service["image"] for service in SERVICES.values()})


def test_no_secret_is_written_in_it():
    text = (ROOT / "docker-compose.yaml").read_text()
    found = [line for line in text.splitlines() if re.search(r"(PASSWORD|SECRET|KEY|CONN|TOKEN)\w*: ", line)]
    allowed = (
        "_CMD: cat /run/airflow-secrets/",
        "AWS_SECRET_ACCESS_KEY: local",
        "AWS_ACCESS_KEY_ID: local",
        "PASSWORDS_FILE: /run/",
    )
    assert found
    for line in found:
        assert any(one in line for one in (*allowed, "CONN_AWS_DEFAULT: aws://", "SECRETS__BACKEND")), line


class Stand(places.ComposeStandIns):
    """Where nothing is real but the SFTP server's data."""

    def __init__(self, root: Path) -> None:
        self.secrets: dict[str, dict[str, object]] = {}
        self.sftp = places.SftpServer("openssh", "sftp", 2222, "ssh-ed25519 AAAA", "client", root, private_key="key")  # type: ignore[misc]

    gcs_key = "{}"

    def store_connection(self, connection_id, connection):
        self.secrets[connection_id] = connection


@pytest.fixture
def world(tmp_path, monkeypatch):
    checkout, dags = tmp_path / "checkout", tmp_path / "dags"
    (checkout / "include" / "client_configs").mkdir(parents=True)
    monkeypatch.setattr(sync, "CHECKOUT", checkout)
    monkeypatch.setattr(sync, "CONFIGS", dags / "include" / "client_configs")
    monkeypatch.setattr(sync, "_FOLDERS", {"dags": dags, "include": dags / "include"})
    monkeypatch.setattr(sync, "make_buckets", lambda config, stand_ins: None)
    return checkout / "include" / "client_configs", dags / "include" / "client_configs", Stand(tmp_path / "sftp")


def test_a_delivery_by_sftp_is_pointed_to_the_stand_in_and_never_to_the_clients_server(world):
    source, target, stand_ins = world
    text = (ROOT / "include/client_configs/cedar_care.yaml").read_text()
    (source / "cedar_care.yaml").write_text(text)
    sync.copy(Path("include/client_configs/cedar_care.yaml"), stand_ins)
    copied = yaml.safe_load((target / "cedar_care.yaml").read_text())
    assert "example.org" not in yaml.safe_dump(copied["destination"])
    assert (
        copied["destination"] | {"host": "sftp", "port": 2222, "directory": "cedar/incoming"} == copied["destination"]
    )
    assert (stand_ins.sftp.root / "cedar" / "incoming").is_dir()
    assert stand_ins.secrets.keys() == {"cedar_care_sftp"}
    assert (source / "cedar_care.yaml").read_text() == text


def test_a_wrong_configuration_is_copied_as_it_is_so_that_airflow_shows_the_error(world):
    source, target, stand_ins = world
    (source / "acme.yaml").write_text("name: acme\ndestination: [")
    sync.copy(Path("include/client_configs/acme.yaml"), stand_ins)
    assert (target / "acme.yaml").read_text() == "name: acme\ndestination: ["


def test_what_changes_is_seen(world, tmp_path):
    source, _, _ = world
    before = sync.snapshot(tmp_path / "checkout")
    (source / "acme.yaml").write_text("name: acme")
    now = sync.snapshot(tmp_path / "checkout")
    assert now.keys() - before.keys() == {Path("include/client_configs/acme.yaml")}
    assert sync.target_of(Path("include/client_configs/acme.yaml")).parent.name == "client_configs"
