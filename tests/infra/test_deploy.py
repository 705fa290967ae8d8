"""Deploying (R9.3) to a stand-in for AWS: the order, what is said beforehand, and that the ledger survives."""

from __future__ import annotations

import boto3
import pytest

from infra import deploy as deploy_module
from infra.cloudformation import Change, Stack
from infra.deploy import Deployment
from infra.settings import Environment
from infra.upload import Bucket

ENVIRONMENT = Environment(
    name="trial",
    account="123456789012",
    region="us-east-1",
    mail_sender="a@example.org",
    alarm_emails=("b@example.org",),
)


@pytest.fixture
def session(stack, monkeypatch):
    """AWS without anything in it but what the tests' own stack has."""
    for name, value in stack.environment().items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setattr("infra.cloudformation._POLL", 0.2)
    return boto3.session.Session(region_name="us-east-1")


@pytest.fixture
def said(monkeypatch):
    lines: list[str] = []
    monkeypatch.setattr(deploy_module, "say", lines.append)
    return lines


def names(session) -> set[str]:
    pages = session.client("cloudformation").describe_stacks()["Stacks"]
    return {stack["StackName"] for stack in pages if stack["StackStatus"] != "DELETE_COMPLETE"}


def test_r3_3_everything_is_deployed_destroyed_and_deployed_again_and_the_ledger_keeps_every_entry(
    session, said, tmp_path
):
    deployment = Deployment(ENVIRONMENT, session, dry_run=False, work=tmp_path)
    deployment.everything(with_image=False)
    order = [
        line.split(":")[0] for line in said if line.split(":")[0].startswith(("client-delivery", "dags/", "plugins"))
    ]
    assert order == [
        "client-delivery-trial-data",
        "client-delivery-trial-network",
        "client-delivery-trial-access",
        "plugins.zip",
        "client-delivery-trial-platform",
        "dags/",
        "dags/include/client_configs/",
        "client-delivery-trial-monitoring",
    ]
    (data,) = session.client("cloudformation").describe_stacks(StackName="client-delivery-trial-data")["Stacks"]
    assert data["EnableTerminationProtection"]
    dynamodb = session.client("dynamodb")
    item = {"clientHNumber": {"S": "H1"}, "etag": {"S": "e"}, "status": {"S": "success"}}
    dynamodb.put_item(TableName=ENVIRONMENT.ledger_table, Item=item)
    cloudformation = session.client("cloudformation")
    for part in ("monitoring", "platform"):  # moto cannot delete roles that have policies
        cloudformation.delete_stack(StackName=f"client-delivery-trial-{part}")
    assert "client-delivery-trial-platform" not in names(session)
    said.clear()
    deployment.everything(with_image=False)
    assert "client-delivery-trial-data: no changes" in said, "what outlives everything is left alone"
    assert {f"client-delivery-trial-{part}" for part in ("data", "platform", "monitoring")} <= names(session)
    key = {name: item[name] for name in ("clientHNumber", "etag")}
    assert dynamodb.get_item(TableName=ENVIRONMENT.ledger_table, Key=key)["Item"] == item


def test_a_dry_run_says_what_would_change_and_changes_nothing(session, said, tmp_path):
    environment = ENVIRONMENT.model_copy(update={"name": "dry"})
    Deployment(environment, session, dry_run=True, work=tmp_path).everything()
    assert any("Add    AWS::DynamoDB::Table" in line for line in said)
    assert "plugins.zip: version to be uploaded" in said
    assert any("to be built and pushed" in line for line in said)
    assert not {name for name in names(session) if "dry" in name}
    assert environment.bucket not in {one["Name"] for one in session.client("s3").list_buckets()["Buckets"]}


def test_r1_4_clients_are_deployed_without_touching_what_runs(session, said, tmp_path, monkeypatch):
    environment = ENVIRONMENT.model_copy(update={"name": "clients"})
    Deployment(environment, session, dry_run=False, work=tmp_path / "dist").everything(with_image=False)
    configs = tmp_path / "client_configs"
    configs.mkdir()
    for path in deploy_module.CONFIGS.glob("*.yaml"):
        if path.stem not in ("summit_mutual", "cedar_care"):
            (configs / path.name).write_text(path.read_text())
    moved = (deploy_module.CONFIGS / "cedar_care.yaml").read_text().replace("example-pickup", "another-pickup")
    (configs / "cedar_care.yaml").write_text(moved)
    monkeypatch.setattr(deploy_module, "CONFIGS", configs)
    monkeypatch.setattr(deploy_module, "load_clients", lambda: original(configs))
    said.clear()
    Deployment(environment, session, dry_run=False, work=tmp_path / "dist").clients()
    assert "    put    dags/include/client_configs/cedar_care.yaml" in said
    assert "    delete dags/include/client_configs/summit_mutual.yaml" in said
    assert not any(part in line for line in said for part in ("platform", "data", "plugins"))
    uploaded = said.index("dags/include/client_configs/: 2 changes")
    policies = [number for number, line in enumerate(said) if "ManagedPolicy" in line]
    assert policies[0] < uploaded, "the new pick-up is allowed before its YAML arrives"
    assert policies[-1] > uploaded, "and what was moved or removed is forbidden after its YAML is gone"
    keys = session.client("s3").list_objects_v2(Bucket=environment.bucket, Prefix="dags/")["Contents"]
    assert {"dags/client_deliveries.py", "dags/.airflowignore"} <= {one["Key"] for one in keys}, "the DAG stays"


original = deploy_module.load_clients


def test_what_did_not_change_is_not_uploaded_again(session, tmp_path):
    s3 = session.client("s3")
    s3.create_bucket(Bucket="upload-test")
    s3.put_bucket_versioning(Bucket="upload-test", VersioningConfiguration={"Status": "Enabled"})
    bucket = Bucket(s3, "upload-test")
    path = tmp_path / "plugins.zip"
    path.write_bytes(b"one")
    first = bucket.version_of("plugins.zip", path, upload=True)
    assert bucket.version_of("plugins.zip", path, upload=True) == first
    path.write_bytes(b"two")
    assert bucket.version_of("plugins.zip", path, upload=False) is None
    assert bucket.version_of("plugins.zip", path, upload=True) != first


def test_credentials_of_another_account_change_nothing(session, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["deploy", "example"])
    assert deploy_module.main() == 1
    assert "These credentials are for account 123456789012" in capsys.readouterr().err


def test_a_replacement_is_shouted():
    assert "REPLACED" in str(Change("Modify", "Ledger", "AWS::DynamoDB::Table", replacement=True))
    assert Stack.needs_url("x" * 51_201)
