"""YAML is data, never code, and whom files go to is not for data alone to say (R2.5, R9.3)."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from infra import guards
from infra.clients import ConfigurationsError, load_clients
from infra.settings import load

ENVIRONMENT = load("example")
ROLE = "arn:aws:iam::999988887777:role/landing"


def written(directory: Path, **changes: object) -> Path:
    config = {
        "name": "acme",
        "client_h_number": "H1234",
        "contacts": ["data@example.com"],
        "send_notifications": False,
        "pickup": {"bucket": "example-pickup", "prefix": "acme/"},
        "destination": {"type": "s3", "bucket": "landing", "prefix": "in/"},
        "bypass_file_checks": False,
        "trigger_on_done_file": False,
    }
    path = directory / "acme.yaml"
    path.write_text(yaml.safe_dump(config | changes, sort_keys=False))
    return path


def test_what_is_right_passes(tmp_path, capsys):
    assert guards.main(["example", str(written(tmp_path))]) == 0
    assert "1 file checked, none wrong" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("section", "place"),
    [
        ("destination", {"type": "s3", "bucket": "landing", "prefix": "in/", "role_arn": ROLE}),
        ("pickup", {"bucket": "theirs", "prefix": "out/", "role_arn": ROLE}),
    ],
)
def test_a_role_of_an_account_that_nobody_listed_is_refused_where_it_stands(tmp_path, capsys, section, place):
    path = written(tmp_path, **{section: place})
    assert guards.main(["example", str(path)]) == 1
    line = 1 + next(number for number, text in enumerate(path.read_text().split("\n")) if "role_arn" in text)
    said = capsys.readouterr().out
    assert f"{path}:{line}" in said
    assert f"{section}.role_arn" in said
    assert "999988887777" in said
    assert "111122223333" in said, "which accounts are listed"
    assert "infra/environments/example.yaml" in said, "and where"
    with pytest.raises(ConfigurationsError, match="999988887777"):
        load_clients(ENVIRONMENT, tmp_path)


def test_one_of_our_own_roles_is_refused_though_the_account_is_listed(tmp_path, capsys):
    own = f"arn:aws:iam::{ENVIRONMENT.account}:role/{ENVIRONMENT.airflow_role}"
    path = written(tmp_path, destination={"type": "s3", "bucket": "landing", "prefix": "in/", "role_arn": own})
    assert guards.main(["example", str(path)]) == 1
    assert "one of this environment's own roles" in capsys.readouterr().out


def test_a_destination_anywhere_in_an_owned_pick_up_bucket_is_refused(tmp_path, capsys):
    path = written(tmp_path, destination={"type": "s3", "bucket": "example-pickup", "prefix": "nobodys/"})
    assert guards.main(["example", str(path)]) == 1
    assert "taken for a client's" in capsys.readouterr().out


@pytest.mark.parametrize("bucket", [ENVIRONMENT.bucket, ENVIRONMENT.access_logs_bucket])
@pytest.mark.parametrize("section", ["pickup", "destination"])
def test_the_environments_own_buckets_are_refused_even_without_its_rules(tmp_path, capsys, bucket, section):
    place = {"bucket": bucket, "prefix": "dags/"} | ({"type": "s3"} if section == "destination" else {})
    path = written(tmp_path, **{section: place})
    assert guards.check.main([str(path)]) == 1
    said = capsys.readouterr().out
    assert f"{section}.bucket" in said
    assert "the environment's own code or logs" in said


def test_an_environment_that_does_not_exist_is_said(capsys):
    assert guards.main(["nowhere"]) == 1
    assert "There is no environment 'nowhere'" in capsys.readouterr().err
