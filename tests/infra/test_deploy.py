"""Deploying (R9.3) to a stand-in for AWS: the order, what is said beforehand, and that the ledger survives."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from infra import deploy as deploy_module
from infra.clients import load_clients
from infra.cloudformation import Change, Stack, UnfinishedError
from infra.deploy import Deployment
from infra.settings import Environment
from infra.upload import Bucket

ENVIRONMENT = Environment(
    name="trial",
    account="123456789012",
    region="us-east-1",
    mail_sender="a@example.org",
    alarm_emails=("b@example.org",),
    partner_accounts=("111122223333",),
)


class FakeMwaa:
    """What moto lacks: the state of an environment, a look further at each question; none before the first."""

    class exceptions:
        class ResourceNotFoundException(Exception):
            pass

    def __init__(self) -> None:
        self.statuses: list[str] = []

    def get_environment(self, *, Name: str) -> dict[str, Any]:
        if not self.statuses:
            raise self.exceptions.ResourceNotFoundException(Name)
        return {"Environment": {"Status": self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]}}


class Session(boto3.session.Session):
    def __init__(self) -> None:
        super().__init__(region_name="us-east-1")
        self.mwaa = FakeMwaa()

    def client(self, service_name: str, *arguments: Any, **options: Any) -> Any:
        return self.mwaa if service_name == "mwaa" else super().client(service_name, *arguments, **options)


@pytest.fixture
def session(stack, monkeypatch):
    """AWS without anything in it but what the tests' own stack has."""
    for name, value in stack.environment().items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setattr("infra.cloudformation._POLL", 0.2)
    monkeypatch.setattr(deploy_module, "_MAINTENANCE_POLL", 0.01)
    return Session()


@pytest.fixture
def said(monkeypatch):
    lines: list[str] = []
    monkeypatch.setattr(deploy_module, "say", lines.append)
    return lines


def names(session) -> set[str]:
    pages = session.client("cloudformation").describe_stacks()["Stacks"]
    return {stack["StackName"] for stack in pages if stack["StackStatus"] != "DELETE_COMPLETE"}


def destroy(session, *parts: str) -> None:
    """Delete stacks of the trial environment; moto detaches and deletes no managed policies, as CloudFormation does."""
    iam = session.client("iam")
    for role in (ENVIRONMENT.airflow_role, ENVIRONMENT.container_role, f"{ENVIRONMENT.prefix}-transfer-start"):
        for policy in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=role, PolicyArn=policy["PolicyArn"])
            with contextlib.suppress(iam.exceptions.NoSuchEntityException):
                iam.delete_policy(PolicyArn=policy["PolicyArn"])
    for part in parts:
        session.client("cloudformation").delete_stack(StackName=f"{ENVIRONMENT.prefix}-{part}")


def what_partners_know(session) -> dict[str, Any]:
    """Roles by their unique ids, as IAM keeps those that are trusted; addresses that the gateways have."""
    iam, ec2 = session.client("iam"), session.client("ec2")
    names = (ENVIRONMENT.airflow_role, ENVIRONMENT.container_role)
    roles = {name: iam.get_role(RoleName=name)["Role"]["RoleId"] for name in names}
    resources = session.client("cloudformation").describe_stack_resources(StackName=f"{ENVIRONMENT.prefix}-network")
    ids = [
        one["PhysicalResourceId"]
        for one in resources["StackResources"]
        if one["ResourceType"] == "AWS::EC2::NatGateway"
    ]
    gateways = ec2.describe_nat_gateways(NatGatewayIds=ids)["NatGateways"]
    return {"roles": roles, "addresses": {one["NatGatewayAddresses"][0]["PublicIp"] for one in gateways}}


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
    known = what_partners_know(session)
    assert len(known["addresses"]) == 2
    for address in known["addresses"]:
        assert any(line.endswith(address) for line in said), "whoever deploys is told what partners must let in"
    destroy(session, "monitoring", "platform", "access")  # moto cannot delete a VPC that has gateways
    assert names(session) & {f"client-delivery-trial-{part}" for part in ("platform", "access")} == set()
    said.clear()
    deployment.everything(with_image=False)
    assert "client-delivery-trial-data: no changes" in said, "what outlives everything is left alone"
    assert {f"client-delivery-trial-{part}" for part in ("data", "platform", "monitoring")} <= names(session)
    key = {name: item[name] for name in ("clientHNumber", "etag")}
    assert dynamodb.get_item(TableName=ENVIRONMENT.ledger_table, Key=key)["Item"] == item
    assert what_partners_know(session) == known, "a role of the same name would be another one to those who trust it"


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
    monkeypatch.setattr(deploy_module, "load_clients", lambda environment: original(environment, configs))
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


def test_r2_7_a_renamed_file_never_meets_its_old_self_and_files_that_change_places_are_never_gone(
    session, said, tmp_path, monkeypatch
):
    """After each request MWAA may copy the bucket: what is in it then is what Airflow sees."""
    environment = ENVIRONMENT.model_copy(update={"name": "renames"})
    s3, prefix = session.client("s3"), "dags/include/client_configs/"
    s3.create_bucket(Bucket=environment.bucket)
    configs = tmp_path / "client_configs"
    configs.mkdir()
    numbers = ("acme", "left", "right", "first", "second", "gone", "stays")
    before = {name: f"H200000{number}" for number, name in enumerate(numbers)}
    after = {name: before[name] for name in ("stays",)} | {
        "a_new_name": before["acme"],
        "left": before["right"],
        "right": before["left"],
        "first": before["second"],
        "second": "H2000008",
        "new": "H2000009",
    }
    for name, number in before.items():
        s3.put_object(Bucket=environment.bucket, Key=f"{prefix}{name}.yaml", Body=yaml_of(name, number).encode())
    for name, number in after.items():
        (configs / f"{name}.yaml").write_text(yaml_of(name, number))
    monkeypatch.setattr(deploy_module, "CONFIGS", configs)
    deployment = Deployment(environment, session, dry_run=False, work=tmp_path / "dist")
    moments: list[dict[str, str]] = []
    request = deployment._bucket._s3._make_api_call

    def watched(operation: str, parameters: dict[str, Any]) -> Any:
        answer = request(operation, parameters)
        if operation in ("PutObject", "DeleteObject"):
            listed = request("ListObjectsV2", {"Bucket": environment.bucket, "Prefix": prefix})["Contents"]
            keys = [one["Key"] for one in listed]
            bodies = [request("GetObject", {"Bucket": environment.bucket, "Key": key})["Body"].read() for key in keys]
            numbers = [re.findall(r"H20000\d\d", body.decode())[0] for body in bodies]
            moments.append(dict(zip((key.removeprefix(prefix)[:-5] for key in keys), numbers, strict=True)))
        return answer

    monkeypatch.setattr(deployment._bucket._s3, "_make_api_call", watched)
    deployment._sync_clients(load_clients(environment, configs), deployment._leaving_clients())
    assert moments[-1] == after
    for moment in moments:
        there = list(moment.values())
        twice = {number for number in there if there.count(number) > 1}
        assert twice <= {before["left"], before["right"]}, "only those that change places meet for a moment"
        assert {"left", "right", "first", "second", "stays"} <= set(moment)
    without = [moment for moment in moments if before["acme"] not in moment.values()]
    assert len(without) == 1, "from the one request to the next"
    assert "gone" in moments[-2], "what nobody waits for goes last"


def yaml_of(name: str, number: str) -> str:
    return f"""
name: {name}
client_h_number: {number}
contacts: [a@example.com]
send_notifications: true
pickup: {{bucket: example-pickup, prefix: {number}/}}
schedule: null
bypass_file_checks: false
trigger_on_done_file: false
destination: {{type: s3, bucket: example-destination, prefix: {number}/}}
"""


original = deploy_module.load_clients


def test_maintenance_is_waited_for_because_an_update_then_would_kill_transfers(session, said, tmp_path):
    session.mwaa.statuses = ["MAINTENANCE", "MAINTENANCE", "AVAILABLE"]
    Deployment(ENVIRONMENT, session, dry_run=False, work=tmp_path)._await_maintenance()
    assert len([line for line in said if "waiting until that is over" in line]) == 2
    session.mwaa.statuses = ["MAINTENANCE"]
    with pytest.raises(UnfinishedError, match="Run the same again"):
        Deployment(ENVIRONMENT, session, dry_run=False, work=tmp_path, patience=0)._await_maintenance()


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UnfinishedError("still UPDATE_IN_PROGRESS"), 3, "still UPDATE_IN_PROGRESS"),
        (ClientError({"Error": {"Code": "ExpiredToken"}}, "DescribeStacks"), 3, "run the same again"),
        (ClientError({"Error": {"Code": "AccessDenied"}}, "CreateChangeSet"), 1, "AWS refuses"),
    ],
)
def test_what_is_still_going_on_has_an_exit_code_of_its_own(monkeypatch, capsys, error, code, said):
    class Broken:
        def everything(self):
            raise error

    monkeypatch.setattr(deploy_module, "open_deployment", lambda *_, **__: Broken())
    monkeypatch.setattr("sys.argv", ["deploy", "example", "--wait", "0.1"])
    assert deploy_module.main() == code
    assert said in capsys.readouterr().err


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
