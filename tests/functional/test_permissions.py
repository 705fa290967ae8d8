"""The roles of the AWS side against the calls that the code really makes (R9.3): none is missing, none is superfluous.

The AWS stand-in notes who made which call on what while whole runs go through it, with workers and containers under
their own credentials; each call is held against the grants, and each grant against the calls.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from fnmatch import fnmatchcase

import httpx
import pytest

from client_delivery.ledger.entry import Status
from client_delivery.pickup.pickup import Pickup
from infra import permissions
from infra.clients import needs_of
from infra.permissions import Grant
from infra.settings import Environment
from local.stand_ins import ECS_CLUSTER, ECS_FAMILY, ECS_LOG_GROUP, LEDGER_TABLE, PREPARED_BUCKET, SENDER, TASK_IDENTITY
from local.wait import wait_until
from tests.support.pickups import make_bucket

MIB = 1024**2


class WorkerLost(BaseException):
    """The run ends here, without a word."""


ACTIONS = {
    # operation: what IAM asks for, where it is not called as the operation is (AWS's service authorization reference)
    "s3.ListObjectsV2": ["s3:ListBucket"],
    "s3.ListMultipartUploads": ["s3:ListBucketMultipartUploads"],
    "s3.HeadObject": ["s3:GetObject"],
    "s3.CreateMultipartUpload": ["s3:PutObject"],
    "s3.UploadPart": ["s3:PutObject"],
    "s3.UploadPartCopy": ["s3:PutObject"],
    "s3.CompleteMultipartUpload": ["s3:PutObject"],
    "s3.CopyObject": ["s3:PutObject"],
    "s3.ListParts": ["s3:ListMultipartUploadParts"],
}
OF_A_VERSION = " of a version"
OF_A_VERSION_IS = {"s3:GetObject": "s3:GetObjectVersion"}
TRANSACTED = {
    "Put": "dynamodb:PutItem",
    "Update": "dynamodb:UpdateItem",
    "ConditionCheck": "dynamodb:ConditionCheckItem",
}
NOT_CALLED = {
    # granted, but seen on AWS only
    "iam:PassRole": "checked by RunTask, never called",
    "kms:Decrypt": "S3 calls it for the caller",
    "kms:GenerateDataKey": "S3 calls it for the caller",
    "s3:PutObjectAcl": "a header of PutObject, for destinations with an ACL",
}


@pytest.fixture(scope="module")
def environment():
    return Environment(
        name="local", account="123456789012", region="us-east-1", mail_sender=SENDER, alarm_emails=("a@example.org",)
    )


def required(operation: str, target: str) -> list[tuple[str, str]]:
    """The actions, each with the resource, that IAM asks for one recorded call."""
    service = operation.partition(".")[0]
    if service == "s3":
        path, _, rest = target.partition(" from ")
        bucket, _, key = path.removesuffix(OF_A_VERSION).strip("/").partition("/")
        asked = [
            (action, f"arn:aws:s3:::{bucket}" if action.startswith("s3:ListBucket") else f"arn:aws:s3:::{bucket}/{key}")
            for action in ACTIONS.get(operation, [operation.replace(".", ":")])
        ]
        if not rest and path.endswith(OF_A_VERSION):
            asked = [(OF_A_VERSION_IS.get(action, action), resource) for action, resource in asked]
        if rest:
            source, _, version = rest.removesuffix(OF_A_VERSION).partition("?")
            asked.append(("s3:GetObjectVersion" if version else "s3:GetObject", f"arn:aws:s3:::{source}"))
        return asked
    arn = "arn:aws:{}:us-east-1:123456789012:{}"
    if operation == "dynamodb.TransactWriteItems":
        return [
            (TRANSACTED[verb], arn.format("dynamodb", f"table/{table}"))
            for verb, table in (one.split() for one in target.split(", "))
        ]
    name = operation.replace(".", ":")
    match service:
        case "dynamodb":
            table, _, index = target.partition(" ")
            return [(name, arn.format("dynamodb", f"table/{table}" + (f"/index/{index}" if index else "")))]
        case "secretsmanager":
            return [(name, arn.format("secretsmanager", f"secret:{target}-AbCdEf"))]
        case "sts":
            return [(name, target)]
        case "ses":
            return [("ses:SendRawEmail", "*")]
        case "logs":
            return [(name, arn.format("logs", f"log-group:{target}:log-stream:one"))]
        case "ecs" if name == "ecs:RunTask":
            return [(name, arn.format("ecs", f"task-definition/{ECS_FAMILY}:1"))]
        case "ecs" if name == "ecs:ListTasks":
            return [(name, "*")]
        case _:
            return [(name, arn.format("ecs", f"task/{ECS_CLUSTER}/one"))]


HERE = {
    "client-delivery-local-prepared-123456789012": PREPARED_BUCKET,
    "table/client-delivery-local-ledger": f"table/{LEDGER_TABLE}",
    "log-group:/ecs/client-delivery-local-transfer:": f"log-group:{ECS_LOG_GROUP}:",
    "task-definition/client-delivery-local-transfer:": f"task-definition/{ECS_FAMILY}:",
    "task/client-delivery-local/": f"task/{ECS_CLUSTER}/",
}


def named_as_here(grants: list[Grant]) -> list[Grant]:
    """The same grants with the stand-ins' names in the place of the environment's."""

    def here(resource: str) -> str:
        for there, name in HERE.items():
            resource = resource.replace(there, name)
        return resource

    return [replace(one, resources=tuple(map(here, one.resources))) for one in grants]


def allowed(grants: list[Grant], action: str, resource: str) -> bool:
    effects = {
        grant.effect
        for grant in grants
        if action in grant.actions and any(fnmatchcase(resource, pattern) for pattern in grant.resources)
    }
    return effects == {"Allow"}


@pytest.fixture
def record(stack):
    url = f"{stack.aws_url}/_local/calls"

    def calls() -> dict[str, set[tuple[str, str]]]:
        by_identity: dict[str, set[tuple[str, str]]] = {}
        for identity, operation, target in httpx.get(url, timeout=30).json():
            by_identity.setdefault(identity, set()).add((operation, target))
        return by_identity

    httpx.delete(url, timeout=30)
    return calls


def runs_of_every_kind(scenario, stack, monkeypatch) -> list[object]:
    """All three destinations, small and big files, containers, a done file, a crash, a failure, a resumption."""
    # The worker under an identity of its own: what the tests themselves call is not the product's.
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local-worker")
    configs = []
    for destination in ("gcs", "sftp", "s3"):
        client = scenario(destination, offload_threshold=6 * MIB, expected_every_days=35)
        configs.append(client.config)
        if connection := os.environ.get(f"AIRFLOW_CONN_{client.config.name.upper()}"):
            client.stack.store_connection(client.config.name, json.loads(connection))
            monkeypatch.delenv(f"AIRFLOW_CONN_{client.config.name.upper()}")
            monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", stack.environment()["AIRFLOW__SECRETS__BACKEND"])
            monkeypatch.setenv(
                "AIRFLOW__SECRETS__BACKEND_KWARGS", stack.environment()["AIRFLOW__SECRETS__BACKEND_KWARGS"]
            )
        client.drop("small.csv")
        client.drop("middle.bin", os.urandom(5 * MIB))
        client.drop("big.bin", os.urandom(20 * MIB))
        assert client.run().state == "success"
        assert client.run().state == "success", "what is delivered is removed"
        assert client.run().executed == ["register_files"]
        again = [entry.identity for entry in client.entries().values()]
        assert client.run(send_again=again).state == "success", "from the versions that S3 keeps"
    configs += [
        of_a_dead_run(scenario),
        of_a_failure(scenario),
        of_a_done_file(scenario, stack),
        of_a_role(scenario),
        of_a_streamed_copy(scenario),
        of_what_was_sent_before(scenario, stack),
        of_a_treated_file(scenario),
    ]
    return configs


def of_a_dead_run(scenario):
    """The next run stops the container that the dead one left behind."""
    client = scenario("gcs", offload_threshold=MIB)
    client.stack.store_connection(
        client.config.name, json.loads(os.environ[f"AIRFLOW_CONN_{client.config.name.upper()}"])
    )
    client.drop("big.bin", os.urandom(48 * MIB))
    client.gcs_faults({"call": "UploadPart$", "skip": 1, "delay": 20, "times": 2})

    async def gone(trigger: object) -> None:
        raise WorkerLost

    with pytest.MonkeyPatch.context() as death:
        death.setattr("tests.support.runs._first_event", gone)
        with pytest.raises(WorkerLost):
            client.run()
    wait_until(lambda: (client.entries()["big.bin"].resume or {}).get("runs"), "a checkpoint", seconds=60)
    client.gcs_faults()
    assert client.run().state == "success"
    return client.config


def of_a_failure(scenario):
    """What was begun at the destination is removed; and it is sent again."""
    client = scenario("s3", expected_every_days=35)
    client.drop("bad.bin", os.urandom(20 * MIB))
    client.aws_faults(
        {
            "call": r"s3\.(Copy|Complete|UploadPart)",
            "path": "bad.bin",
            "status": 403,
            "code": "AccessDenied",
            "times": 0,
        }
    )
    failed = client.run()
    assert failed.state == "failed"
    client.aws_faults()
    assert client.clear(failed).state == "success"
    return client.config


def of_a_done_file(scenario, stack):
    """In a bucket that keeps versions but knows no KMS; and another done file comes in the moment of the removal."""
    bucket = make_bucket(stack.client("s3"), "versioned")
    client = scenario("s3", trigger_on_done_file=True, pickup={"bucket": bucket, "prefix": "done/"})
    client.drop("a.csv")
    client.drop_done()
    delete = Pickup._delete

    def late(self, key, etag):
        if key == client.config.done_file_key:
            client.drop_done()
        return delete(self, key, etag)

    with pytest.MonkeyPatch.context() as race:
        race.setattr(Pickup, "_delete", late)
        assert client.run().state == "success"
    assert {entry.status for entry in client.entries().values()} == {Status.SUCCESS}
    assert client.config.done_file_key.rpartition("/")[2] in client.waiting()
    return client.config


def of_a_role(scenario):
    client = scenario(
        "s3", place={"role_arn": "arn:aws:iam::111122223333:role/partner-writer", "external_id": "partner-7f3a"}
    )
    client.drop("a.csv")
    assert client.run().state == "success"
    return client.config


def of_a_streamed_copy(scenario):
    """S3 refuses to copy: the bytes go through the worker, in parts; an attempt that was cut resumes."""
    client = scenario("s3")
    client.drop("streamed.bin", os.urandom(40 * MIB))
    client.aws_faults(
        {"call": r"s3\.(CopyObject|UploadPartCopy)", "status": 403, "code": "AccessDenied", "times": 0},
        {"call": r"s3\.CreateMultipartUpload", "status": 400, "code": "InvalidRequest", "times": 1},
        {"call": r"s3\.UploadPart$", "skip": 1, "status": 400, "code": "InvalidRequest", "times": 1},
    )
    assert client.run().state == "success"
    client.aws_faults()
    return client.config


def of_what_was_sent_before(scenario, stack):
    """S3 copied it and knows it by 32 bits: its version is read to tell whether another name is the same content."""
    client = scenario("s3", pickup={"bucket": make_bucket(stack.client("s3"), "versioned, KMS"), "prefix": "before/"})
    place = {"Bucket": client.config.pickup.bucket, "ChecksumAlgorithm": "CRC32", "Body": b"rows"}
    for name in ("a.csv", "b.csv"):
        client.s3.put_object(**place, Key=client.config.pickup.prefix + name)
        assert client.run().state == "success"
        assert client.run().state == "success"
    assert list(client.delivered()) == ["a.csv"]
    return client.config


def of_a_treated_file(scenario):
    """Small and large; an upload to the prepared area that fails is aborted; a prepared object that is gone."""
    client = scenario("s3", compress="gzip")
    client.drop("a.csv")
    client.drop("large.bin", os.urandom(20 * MIB))
    client.aws_faults(
        {"call": r"s3\.UploadPart$", "path": PREPARED_BUCKET, "status": 400, "code": "InvalidRequest", "times": 1}
    )
    assert client.run().state == "success"
    client.aws_faults()
    return client.config


def test_r9_3_every_call_is_allowed_and_everything_allowed_is_called(scenario, stack, environment, record, monkeypatch):
    configs = runs_of_every_kind(scenario, stack, monkeypatch)
    calls = record()
    needs = needs_of(configs)
    roles = {
        "local-worker": named_as_here(permissions.worker(environment, needs)),
        TASK_IDENTITY: named_as_here(permissions.container(environment, needs)),
    }
    assert calls["local-worker"]
    assert calls[TASK_IDENTITY]
    asked = {identity: {one for call in calls[identity] for one in required(*call)} for identity in roles}
    missing = {
        f"{identity}: {action} on {re.sub('[0-9a-f-]{36}', '…', resource)}"
        for identity, grants in roles.items()
        for action, resource in asked[identity]
        if not allowed(grants, action, resource)
    }
    assert missing == set(), "the code calls what its role does not allow"
    used = {action for actions in asked.values() for action, _ in actions}
    superfluous = {
        f"{grant.sid}: {action}"
        for grants in roles.values()
        for grant in grants
        if grant.effect == "Allow"
        for action in grant.actions
        if action not in used and action not in NOT_CALLED
    }
    assert superfluous == set(), "a role allows what the code never calls"
