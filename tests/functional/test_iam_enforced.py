"""A whole delivery under the generated policies, with an independent judge of IAM (R9.3): ministack, AUTH=true.

The stacks `data` and `access` are deployed into it by the product's own tool, the worker's role is assumed, and the
product's tasks run with nothing but that session. ``test_permissions.py`` holds every call against the grants; here
somebody else evaluates the policies as they are: conditions, denials, bucket policies, the key's.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from client_delivery.config.model import ClientConfig
from client_delivery.ledger.acknowledgements import Acknowledgements
from client_delivery.run import acknowledgements
from infra.app import build_access
from infra.cloudformation import Stack
from infra.settings import Environment
from local.ports import free_port
from local.process import stop
from local.wait import wait_until
from tests.support.runs import Runs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
MINISTACK = "ministack==1.5.33"
ACCOUNT = "123456789012"
ENVIRONMENT = Environment(
    name="judged",
    account=ACCOUNT,
    region="us-east-1",
    mail_sender="a@example.org",
    alarm_emails=("b@example.org",),
    owned_pickup_buckets=("judged-pickup",),
)
ENTRY = {"clientHNumber": {"S": "H1001"}, "etag": {"S": "e"}}
_OF_BOTH = {"contacts": ["data@example.com"], "send_notifications": False, "bypass_file_checks": False}
CLIENT = ClientConfig.model_validate(
    {
        **_OF_BOTH,
        "name": "acme",
        "client_h_number": "H1001",
        "pickup": {"bucket": "judged-pickup", "prefix": "acme/"},
        "destination": {"type": "s3", "bucket": "landing", "prefix": "in/"},
        "trigger_on_done_file": False,
    }
)
PAYER = ClientConfig.model_validate(
    {
        **_OF_BOTH,
        "name": "brook",
        "client_h_number": "H2002",
        "pickup": {"bucket": "judged-pickup", "prefix": "brook/"},
        "destination": {"type": "s3", "bucket": "payer", "prefix": "in/"},
        "trigger_on_done_file": True,
        "deliver_as": "{done_file}/{name}",
        "sidecar": "sha256",
        "completion_file": {"name": "complete", "content": "json"},
        "acknowledgement": {"pattern": "{delivered}.ok", "place": "acks/"},
    }
)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """ministack, in an environment of its own: its dependencies are not those of the lock."""
    uv, work, port = str(Path(sys.executable).parent / "uv"), tmp_path_factory.mktemp("ministack"), free_port()
    tool = [uv, "tool", "run", "--from", MINISTACK, "ministack"]
    if subprocess.run([*tool[:-1], "python", "-c", "import ministack"], capture_output=True, check=False).returncode:
        pytest.skip(f"{MINISTACK} cannot be had from the package index: nobody judges the policies")
    settings = {"AUTH": "true", "GATEWAY_PORT": str(port), "MINISTACK_ACCOUNT_ID": ACCOUNT}
    with (work / "log").open("wb") as log:
        process = subprocess.Popen(tool, env={**os.environ, **settings}, cwd=work, stdout=log, stderr=log)

    def listens() -> bool:
        assert process.poll() is None, (work / "log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(listens, "ministack", seconds=120)
        yield f"http://127.0.0.1:{port}"
    finally:
        stop(process)


@pytest.fixture(scope="module")
def root(endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> boto3.session.Session:
    """The account's root, who has deployed both stacks, and may assume the roles, as MWAA and ECS otherwise do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("infra.cloudformation._POLL", 0.2)
        patch.setenv("AWS_ENDPOINT_URL", endpoint)
        session = boto3.session.Session("test", "test", region_name="us-east-1")
        output = tmp_path_factory.mktemp("templates")
        app, _ = build_access(ENVIRONMENT, [CLIENT, PAYER], output=output)
        app.synth()
        for name in (f"{ENVIRONMENT.prefix}-data", f"{ENVIRONMENT.prefix}-access"):
            template = for_ministack(json.loads((output / f"{name}.template.json").read_text()))
            Stack(session.client("cloudformation"), name, json.dumps(template)).deploy()
        for role in ENVIRONMENT.delivering_roles:
            trust = {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                "Action": "sts:AssumeRole",
            }
            document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
            session.client("iam").update_assume_role_policy(RoleName=role, PolicyDocument=document)
        for bucket in ("landing", "payer"):
            session.client("s3").create_bucket(Bucket=bucket)
    return session


def for_ministack(template: dict[str, Any]) -> dict[str, Any]:
    """Without elastic addresses, which its CloudFormation does not know, and without TLS, which it does not speak."""
    resources = {n: one for n, one in template["Resources"].items() if one["Type"] != "AWS::EC2::EIP"}
    gone = template["Resources"].keys() - resources.keys()
    for resource in resources.values():
        if resource["Type"] == "AWS::S3::BucketPolicy":
            document = resource["Properties"]["PolicyDocument"]
            tls = ("aws:SecureTransport", "s3:TlsVersion")
            document["Statement"] = [one for one in document["Statement"] if not any(key in str(one) for key in tls)]
    outputs = {n: one for n, one in template.get("Outputs", {}).items() if not any(name in str(one) for name in gone)}
    return {**template, "Resources": resources, "Outputs": outputs}


@pytest.fixture
def assumed(root: boto3.session.Session, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """This process becomes one of the roles."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AIRFLOW__DELIVERY__LEDGER_TABLE", ENVIRONMENT.ledger_table)

    def assume(role: str) -> boto3.session.Session:
        arn = f"arn:aws:iam::{ACCOUNT}:role/{role}"
        given = root.client("sts").assume_role(RoleArn=arn, RoleSessionName="tried")["Credentials"]
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", given["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", given["SecretAccessKey"])
        monkeypatch.setenv("AWS_SESSION_TOKEN", given["SessionToken"])
        return boto3.session.Session()

    return assume


def keys(session: boto3.session.Session, bucket: str) -> list[str]:
    return [one["Key"] for one in session.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])]


def test_a_worker_delivers_with_nothing_but_its_policies(root, assumed):
    for number in range(3):
        root.client("s3").put_object(Bucket="judged-pickup", Key=f"acme/{number}.csv", Body=os.urandom(1000 + number))
    assumed(ENVIRONMENT.airflow_role)
    run = Runs(CLIENT).run()
    assert (run.state, run.errors) == ("success", {})
    assert keys(root, "landing") == ["in/0.csv", "in/1.csv", "in/2.csv"]
    assert Runs(CLIENT).run().state == "success"
    assert keys(root, "judged-pickup") == [], "what was delivered is removed"


def test_what_a_payer_asks_for_needs_nothing_but_the_policies_either(root, assumed, monkeypatch):
    s3 = root.client("s3")
    s3.put_object(Bucket="judged-pickup", Key="brook/a.csv", Body=b"a")
    s3.put_object(Bucket="judged-pickup", Key=PAYER.done_file_key, Body=b"BATCH-1")
    assumed(ENVIRONMENT.airflow_role)
    run = Runs(PAYER).run()
    assert (run.state, run.errors) == ("success", {})
    assert keys(root, "payer") == ["in/BATCH-1/a.csv", "in/BATCH-1/a.csv.sha256", "in/complete"]
    s3.put_object(Bucket="payer", Key="acks/BATCH-1/a.csv.ok", Body=b"ok")

    class Later(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(minutes=6)

    monkeypatch.setattr(acknowledgements, "datetime", Later)
    assert Runs(PAYER).run().state == "success"
    kept = Acknowledgements(root.client("dynamodb"), ENVIRONMENT.ledger_table, PAYER.delivery_key)
    progress = kept.progress()
    assert progress is not None
    assert (progress.awaited, progress.missing, progress.trouble) == (0, 0, None)
    [found] = kept.of(kept.since("2026"))
    assert kept.of([found])[found].found == "BATCH-1/a.csv.ok"


@pytest.mark.parametrize("role", ENVIRONMENT.delivering_roles)
@pytest.mark.parametrize(
    ("service", "call", "arguments"),
    [
        ("s3", "put_object", {"Bucket": ENVIRONMENT.bucket, "Key": "dags/evil.py", "Body": b"x"}),
        ("s3", "put_object", {"Bucket": ENVIRONMENT.access_logs_bucket, "Key": "x", "Body": b"x"}),
        ("s3", "put_object", {"Bucket": "judged-pickup", "Key": "acme/x", "Body": b"x"}),
        ("s3", "list_objects_v2", {"Bucket": "judged-pickup", "Prefix": "another_client/"}),
        ("s3", "get_object", {"Bucket": "judged-pickup", "Key": "another_client/x"}),
        ("s3", "put_object", {"Bucket": "landing", "Key": "elsewhere/x", "Body": b"x"}),
        ("s3", "get_object", {"Bucket": "payer", "Key": "acks/x"}),
        ("s3", "put_object", {"Bucket": "payer", "Key": "acks/x", "Body": b"x"}),
        ("s3", "list_objects_v2", {"Bucket": "payer", "Prefix": "others/"}),
        ("dynamodb", "scan", {"TableName": ENVIRONMENT.ledger_table}),
        ("dynamodb", "delete_item", {"TableName": ENVIRONMENT.ledger_table, "Key": ENTRY}),
        ("secretsmanager", "get_secret_value", {"SecretId": "somebody/elses"}),
        ("iam", "list_roles", {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_no_delivery_needs_is_denied(assumed, role, service, call, arguments):
    session = assumed(role)
    with pytest.raises(ClientError) as refused:
        getattr(session.client(service), call)(**arguments)
    assert refused.value.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException")
