"""Copies of ledger and images in a second region (R3.3): off by default, and complete where they are asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from client_delivery.ledger.schema import table_definition
from infra import deploy as deploy_module
from infra import pipeline
from infra.boundary import boundary
from infra.deploy import Deployment
from infra.settings import SettingsError, load
from tests.infra.test_templates import MINIMAL, synthesised

ACCOUNT = "222233334444"


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    directory = tmp_path_factory.mktemp("second-region")
    (directory / "both.yaml").write_text(MINIMAL + "copy_region: eu-central-1\ncopies_kept_days: 20\n")
    return synthesised("both", directory)


def only(template: dict[str, Any], resource_type: str) -> dict[str, Any]:
    (found,) = [one for one in template["Resources"].values() if one["Type"] == resource_type]
    return found


def test_nothing_leaves_the_region_unless_somebody_says_so(templates):
    assert set(templates.by_stack) == {"data", "network", "access", "platform", "monitoring"}
    assert "AWS::ECR::ReplicationConfiguration" not in str(templates.by_stack)
    assert "backup" not in json.dumps(boundary(templates.environment))
    assert "backup" not in json.dumps(pipeline.everything(templates.environment))


def test_r3_3_the_ledger_is_copied_into_a_vault_there_each_night_and_both_are_kept(copied):
    name = "client-delivery-both-ledger"
    for stack in ("vault", "copies"):
        vault = only(copied[stack], "AWS::Backup::BackupVault")
        key = only(copied[stack], "AWS::KMS::Key")
        assert vault["Properties"]["BackupVaultName"] == name
        assert vault["DeletionPolicy"] == key["DeletionPolicy"] == "Retain"
        assert vault["Properties"]["EncryptionKeyArn"]["Fn::GetAtt"][1] == "Arn", "with a key of that region"
    (rule,) = only(copied["copies"], "AWS::Backup::BackupPlan")["Properties"]["BackupPlan"]["BackupPlanRule"]
    assert rule["ScheduleExpression"].startswith("cron(0 2 * *"), "each night"
    (copy,) = rule["CopyActions"]
    assert copy["DestinationBackupVaultArn"] == f"arn:aws:backup:eu-central-1:{ACCOUNT}:backup-vault:{name}"
    assert copy["Lifecycle"] == rule["Lifecycle"] == {"DeleteAfterDays": 20}
    selection = only(copied["copies"], "AWS::Backup::BackupSelection")["Properties"]["BackupSelection"]
    table = only(copied["data"], "AWS::DynamoDB::Table")["Properties"]["TableName"]
    assert selection["Resources"] == [f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/{table}"]
    assert table_definition(table)["TableName"] == table


def test_every_image_is_copied_when_it_is_pushed(copied):
    configuration = only(copied["copies"], "AWS::ECR::ReplicationConfiguration")
    (rule,) = configuration["Properties"]["ReplicationConfiguration"]["Rules"]
    repository = only(copied["data"], "AWS::ECR::Repository")["Properties"]["RepositoryName"]
    assert rule["Destinations"] == [{"Region": "eu-central-1", "RegistryId": ACCOUNT}]
    assert rule["RepositoryFilters"] == [{"Filter": repository, "FilterType": "PREFIX_MATCH"}]


def test_the_ledger_that_was_restored_is_the_one_that_is_copied(tmp_path):
    (tmp_path / "both.yaml").write_text(MINIMAL + "copy_region: eu-central-1\nrestored_ledger: put-back\n")
    environment = load("both", tmp_path)
    assert environment.ledger_table == "put-back"


def test_a_copy_in_the_own_region_is_refused(tmp_path):
    (tmp_path / "both.yaml").write_text(MINIMAL + "copy_region: eu-west-1\n")
    with pytest.raises(SettingsError, match="copy_region is eu-west-1, the environment's own"):
        load("both", tmp_path)


def test_the_boundary_and_the_pipeline_let_the_copies_be_made(tmp_path):
    (tmp_path / "both.yaml").write_text(MINIMAL + "copy_region: eu-central-1\n")
    environment = load("both", tmp_path)
    assert {"dynamodb:StartAwsBackupJob", "backup:CopyIntoBackupVault"} <= set(boundary(environment)[0]["Action"])
    stacks = pipeline.everything(environment)[0]
    assert "backup:*" in stacks["Action"]
    assert "eu-central-1" in stacks["Condition"]["StringEquals"]["aws:RequestedRegion"]


def test_the_vault_is_deployed_in_its_region_before_what_copies_into_it(tmp_path, monkeypatch):
    (tmp_path / "both.yaml").write_text(MINIMAL + "copy_region: eu-central-1\n")
    environment = load("both", tmp_path)
    deployed: list[tuple[str, str]] = []

    class FakeStack:
        needs_url = staticmethod(lambda template: False)

        def __init__(self, client: str, name: str, template: str, **_: Any) -> None:
            deployed.append((name.removeprefix(f"{environment.prefix}-"), client))

        def plan(self) -> list[Any]:
            return []

    class FakeSession:
        @staticmethod
        def client(service: str, region_name: str = "", **_: Any) -> str:
            return region_name

    class FakeBucket:
        def __init__(self, *_: Any) -> None: ...

        differences = staticmethod(lambda prefix, files: [])
        download = staticmethod(lambda prefix, directory: None)
        version_of = staticmethod(lambda key, path, upload: "v1")

    monkeypatch.setattr(deploy_module, "Stack", FakeStack)
    monkeypatch.setattr(deploy_module, "Bucket", FakeBucket)
    monkeypatch.setattr(Deployment, "_push_image", lambda self, package: None)
    monkeypatch.setattr(Deployment, "_leaving_clients", lambda self: [])
    Deployment(environment, FakeSession(), dry_run=True, work=tmp_path / "dist").everything()
    assert deployed[-2:] == [("vault", "eu-central-1"), ("copies", "eu-west-1")]
    assert {region for _, region in deployed[:-1]} == {"eu-west-1", "eu-central-1"}
