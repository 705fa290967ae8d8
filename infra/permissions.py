"""Who may do what: the whole of it, derived from the environment and from the clients' configurations.

Plain data, so that tests can hold it against the calls that the code really makes (``tests/functional/
test_permissions.py``): nothing is missing, and nothing is superfluous.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from client_delivery.ledger.schema import OPEN_INDEX
from infra.clients import Location, Needs
from infra.settings import CONNECTIONS_PREFIX, Environment

_KNOWS_NO_RESOURCE = "the service knows no resource for this action"
_MOST_PREFIXES = 100
"""In one bucket; with more, the whole bucket is allowed."""
_LONGEST_PREFIXES = 1500
"""Characters of prefixes in one statement, after which another one begins."""
_FILES = "any file below a client's prefix"


@dataclass(frozen=True)
class Grant:
    """One statement of a policy."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Mapping[str, Any] = field(default_factory=dict)
    wildcard: str = ""
    """Why its resources or actions have a ``*``; the policy scanner refuses one that is not explained."""
    effect: Literal["Allow", "Deny"] = "Allow"
    """What is denied stays so, whatever else allows it."""


def worker(environment: Environment, needs: Needs) -> list[Grant]:
    """What tasks on MWAA's workers do, beside what MWAA itself needs."""
    return [
        *_deliver(environment, needs),
        *_lists("AcknowledgedList", needs.acknowledged),
        Grant(
            "LedgerIntake",
            ("dynamodb:GetItem", "dynamodb:PutItem"),
            (_table(environment),),
        ),
        Grant(
            "SendMail",
            ("ses:SendRawEmail",),
            ("*",),
            {"StringEquals": {"ses:FromAddress": environment.mail_sender}},
            wildcard="the identity may be the address or its whole domain; the condition names the sender",
        ),
        *_notify(environment, needs),
        Grant(
            "RunContainers",
            ("ecs:RunTask",),
            (environment.arn("ecs", f"task-definition/{environment.prefix}-transfer:*"),),
            {"ArnEquals": {"ecs:cluster": _cluster(environment)}},
            wildcard="every revision of the one task definition",
        ),
        Grant(
            "WatchContainers",
            ("ecs:DescribeTasks", "ecs:StopTask"),
            (environment.arn("ecs", f"task/{environment.prefix}/*"),),
            wildcard="every task of the one cluster",
        ),
        Grant(
            "FindContainers",
            ("ecs:ListTasks",),
            ("*",),
            {"ArnEquals": {"ecs:cluster": _cluster(environment)}},
            wildcard="ListTasks knows no tasks as resources; the condition names the cluster",
        ),
        Grant(
            "PassContainerRoles",
            ("iam:PassRole",),
            tuple(
                f"arn:aws:iam::{environment.account}:role/{environment.prefix}-{role}"
                for role in ("transfer", "transfer-start")
            ),
            {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
        ),
        Grant(
            "ReadContainerLogs",
            ("logs:GetLogEvents",),
            (environment.arn("logs", f"log-group:{environment.container_log_group}:log-stream:*"),),
            wildcard="every container has a log stream of its own",
        ),
        *_events(environment),
    ]


def _notify(environment: Environment, needs: Needs) -> list[Grant]:
    """The topics and buses that rules of ``notify`` name, where they name no connection for them."""
    grants = []
    if needs.topics:
        grants.append(Grant("NotifyTopics", ("sns:Publish",), tuple(sorted(needs.topics))))
    if needs.buses:
        arns = {one if one.startswith("arn:") else environment.arn("events", f"event-bus/{one}") for one in needs.buses}
        grants.append(Grant("NotifyBuses", ("events:PutEvents",), tuple(sorted(arns))))
    return grants


def _events(environment: Environment) -> list[Grant]:
    """One event for each delivery that has ended, where there is a bus for them."""
    if environment.event_bus is None:
        return []
    bus = environment.event_bus
    arn = bus if bus.startswith("arn:") else environment.arn("events", f"event-bus/{bus}")
    return [Grant("TellOfDeliveries", ("events:PutEvents",), (arn,))]


def container(environment: Environment, needs: Needs) -> list[Grant]:
    """What the transfer container does: deliver, and nothing else."""
    return _deliver(environment, needs)


def _deliver(environment: Environment, needs: Needs) -> list[Grant]:
    """What both do."""
    grants = [
        Grant(
            "Ledger",
            ("dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:Query", "dynamodb:UpdateItem"),
            (_table(environment),),
        ),
        Grant("LedgerOpenEntries", ("dynamodb:Query",), (f"{_table(environment)}/index/{OPEN_INDEX}",)),
        Grant(
            "Connections",
            ("secretsmanager:GetSecretValue",),
            (environment.arn("secretsmanager", f"secret:{CONNECTIONS_PREFIX}/*"),),
            wildcard="a new client brings a new connection; nothing else is below this prefix",
        ),
    ]
    if needs.pickups:
        # Versions: for a done file in a bucket that keeps them without KMS (pickup.remove_done_file), and to read what
        # was sent before, where only that tells whether a file is the same (pickup.read_again).
        grants += _lists("PickupList", needs.pickups, ("s3:ListBucket", "s3:ListBucketVersions"))
        # GetObjectVersion: to send again what is no longer the current version (pickup.locate). "If you include a
        # versionId in your request header, you must have the s3:GetObjectVersion permission" (API reference, GetObject:
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html).
        grants.append(
            Grant(
                "PickupRead",
                ("s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObject", "s3:GetObjectVersion"),
                _objects(needs.pickups),
                wildcard=_FILES,
            )
        )
        # The check of configurations refuses a landing in a pick-up; this holds where that was passed by. Only a bucket
        # that has both needs it. One of so many prefixes that it is allowed as a whole is left out: a landing may be
        # beside the pick-ups in it.
        both = {location.bucket for location in needs.landings}
        if narrow := [one for one in _fitting(needs.pickups) if one.prefix and one.bucket in both]:
            grants.append(
                Grant("NeverIntoPickups", ("s3:PutObject",), _objects(narrow), wildcard=_FILES, effect="Deny")
            )
    if needs.landings:
        grants += _lists("LandingList", needs.landings)
        buckets = tuple(sorted({location.bucket_arn for location in needs.landings}))
        grants.append(Grant("LandingUploads", ("s3:ListBucketMultipartUploads",), buckets))
        actions = ("s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject")
        grants.append(Grant("LandingWrite", actions, _objects(needs.landings), wildcard=_FILES))
    if needs.landings_with_acl:
        grants.append(Grant("LandingAcl", ("s3:PutObjectAcl",), _objects(needs.landings_with_acl), wildcard=_FILES))
    if needs.prepares:
        bucket = f"arn:aws:s3:::{environment.prepared_bucket}"
        # To list, although nothing is listed: without it S3 says 403, not 404, of what is not there (API reference,
        # HeadObject: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html).
        grants.append(Grant("PreparedThereOrNot", ("s3:ListBucket",), (bucket,)))
        grants.append(
            Grant(
                "Prepared",
                ("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"),
                (f"{bucket}/*",),
                wildcard="a bucket of our own, that holds nothing else",
            )
        )
    if needs.roles:
        grants.append(Grant("PartnerRoles", ("sts:AssumeRole",), tuple(sorted(needs.roles))))
    grants += _keys(environment, {*needs.kms_keys, *environment.kms_keys})
    return grants


def _keys(environment: Environment, names: Iterable[str]) -> list[Grant]:
    """Keys that encrypt objects, by ARN, id or alias. IAM knows keys only by ARN; an alias goes into the condition."""
    keys: set[str] = set()
    aliases: set[str] = set()
    for name in names:
        arn = name if name.startswith("arn:") else environment.arn("kms", name if "/" in name else f"key/{name}")
        (aliases if ":alias/" in arn else keys).add(arn)
    actions = ("kms:Decrypt", "kms:GenerateDataKey")
    grants = [Grant("ObjectKeys", actions, tuple(sorted(keys)))] if keys else []
    if aliases:
        grants.append(
            Grant(
                "ObjectKeysByAlias",
                actions,
                tuple(sorted({arn.partition(":alias/")[0] + ":key/*" for arn in aliases})),
                {
                    "ForAnyValue:StringEquals": {
                        "kms:ResourceAliases": sorted({arn.rpartition(":")[2] for arn in aliases})
                    }
                },
                wildcard="the condition names the keys by their aliases",
            )
        )
    return grants


def _lists(sid: str, locations: Iterable[Location], actions: tuple[str, ...] = ("s3:ListBucket",)) -> list[Grant]:
    """Listing is allowed below the prefixes only; a bucket each, for the condition belongs to all of a statement.

    Prefixes that would make a statement too long for a policy go into several.
    """
    lists: list[tuple[str, list[str]]] = []
    for location in _fitting(locations):
        bucket, prefix = location.bucket_arn, f"{location.prefix}*"
        if not lists or lists[-1][0] != bucket or sum(map(len, lists[-1][1])) > _LONGEST_PREFIXES:
            lists.append((bucket, []))
        lists[-1][1].append(prefix)
    return [
        Grant(f"{sid}{number}", actions, (bucket,), {"StringLike": {"s3:prefix": prefixes}})
        for number, (bucket, prefixes) in enumerate(lists, 1)
    ]


def _objects(locations: Iterable[Location]) -> tuple[str, ...]:
    return tuple(location.objects_arn for location in _fitting(locations))


def _fitting(locations: Iterable[Location]) -> list[Location]:
    """A bucket of very many prefixes as a whole: IAM's policies hold no more, and then the bucket is the clients'."""
    by_bucket: dict[str, list[Location]] = {}
    for location in sorted(locations, key=lambda one: (one.bucket, one.prefix)):
        by_bucket.setdefault(location.bucket, []).append(location)
    return [
        location
        for bucket, own in by_bucket.items()
        for location in (own if len(own) <= _MOST_PREFIXES else [Location(bucket, "")])
    ]


def _table(environment: Environment) -> str:
    return environment.arn("dynamodb", f"table/{environment.ledger_table}")


def _cluster(environment: Environment) -> str:
    return environment.arn("ecs", f"cluster/{environment.prefix}")


def mwaa_itself(environment: Environment) -> list[Grant]:
    """What MWAA needs of its execution role to run at all (its user guide, "execution role")."""
    bucket = f"arn:aws:s3:::{environment.bucket}"
    return [
        Grant(
            "Metrics", ("airflow:PublishMetrics",), (environment.arn("airflow", f"environment/{environment.prefix}"),)
        ),
        Grant(
            "Code",
            ("s3:GetBucket*", "s3:GetObject*", "s3:List*"),
            (bucket, f"{bucket}/*"),
            wildcard="as MWAA's user guide demands; the bucket holds code and configuration only",
        ),
        Grant("PublicAccessBlock", ("s3:GetAccountPublicAccessBlock",), ("*",), wildcard=_KNOWS_NO_RESOURCE),
        Grant(
            "Logs",
            (
                "logs:CreateLogGroup",
                "logs:CreateLogStream",
                "logs:DescribeLogStreams",  # the UI finds a deferred task's lines, and so its container's, by it
                "logs:GetLogEvents",
                "logs:GetLogGroupFields",
                "logs:GetLogRecord",
                "logs:GetQueryResults",
                "logs:PutLogEvents",
            ),
            (environment.arn("logs", f"log-group:airflow-{environment.prefix}-*"),),
            wildcard="MWAA's five log groups and their streams",
        ),
        Grant("LogGroups", ("logs:DescribeLogGroups",), ("*",), wildcard=_KNOWS_NO_RESOURCE),
        Grant("CloudWatch", ("cloudwatch:PutMetricData",), ("*",), wildcard=_KNOWS_NO_RESOURCE),
        Grant(
            "Queue",
            (
                "sqs:ChangeMessageVisibility",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:GetQueueUrl",
                "sqs:ReceiveMessage",
                "sqs:SendMessage",
            ),
            (f"arn:aws:sqs:{environment.region}:*:airflow-celery-*",),
            wildcard="the queue is in an account of MWAA's, under a name that MWAA makes",
        ),
    ]


def maintenance(environment: Environment) -> list[Grant]:
    """What the DAG that cleans Airflow's database does: a command of Airflow's, on MWAA's web server."""
    name = environment.arn("airflow", f"environment/{environment.prefix}")
    return [Grant("AirflowCommands", ("airflow:CreateCliToken",), (name,))]


def container_start(environment: Environment) -> list[Grant]:
    """What Fargate does before the container runs: fetch the image, open the log."""
    return [
        Grant("RegistryLogin", ("ecr:GetAuthorizationToken",), ("*",), wildcard=_KNOWS_NO_RESOURCE),
        Grant(
            "Image",
            ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"),
            (environment.arn("ecr", f"repository/{environment.prefix}-transfer"),),
        ),
        Grant(
            "Log",
            ("logs:CreateLogStream", "logs:PutLogEvents"),
            (environment.arn("logs", f"log-group:{environment.container_log_group}:*"),),
            wildcard="every container has a log stream of its own",
        ),
    ]
