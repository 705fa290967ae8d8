"""Names that AWS, Google and Airflow give to things, each checked by its owner's rules before anything is deployed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, ip_address
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from client_delivery.config.problem import quoted, write
from client_delivery.config.refusal import refusal


def pattern_field(pattern: str, expected: str, fix: Any = None) -> tuple[AfterValidator, WithJsonSchema]:
    """The two annotations that hold a text to ``pattern``: in Python, with ``expected`` as the message, and in editors.

    ``fix`` takes the refused text and gives a hint.
    """
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise refusal(expected, fix(value) if fix else "")
        return value

    return AfterValidator(check), WithJsonSchema({"type": "string", "pattern": f"^({pattern})$"})


def _refuse_bare_number(value: Any) -> Any:
    if isinstance(value, int):
        raise refusal(_H_NUMBER_MEANS, write(f"H{value}"))
    return value


def _write_if(pattern: str, better: str) -> str:
    return write(better) if re.fullmatch(pattern, better) else ""


_NAME = "[a-z][a-z0-9_]{0,99}"
_H_NUMBER_MEANS = "'H' and 4 to 9 digits, such as H1234"
_H_NUMBER = "H[0-9]{4,9}"
_FEED = "[a-z0-9_-]{1,40}"
_REGION = "[a-z]{2,3}(-[a-z]+){1,3}-[0-9]{1,2}"
_CONNECTION_ID = "[A-Za-z0-9][A-Za-z0-9_.-]{0,199}"
_PARTITION = "arn:aws(-[a-z]+){0,3}"
_KMS_ALIAS = "alias/[A-Za-z0-9/_-]{1,250}"

ConfigName = Annotated[
    str,
    *pattern_field(
        _NAME,
        "a name of lower-case letters, digits and '_' that begins with a letter, at most 100 characters",
        lambda v: _write_if(_NAME, re.sub("[^a-z0-9]+", "_", v.lower()).strip("_")),
    ),
]
HNumber = Annotated[
    str,
    BeforeValidator(_refuse_bare_number),
    *pattern_field(_H_NUMBER, _H_NUMBER_MEANS, lambda v: _write_if(_H_NUMBER, _h_number(v))),
]
Feed = Annotated[
    str,
    *pattern_field(
        _FEED,
        "1 to 40 lower-case letters, digits, '_' and '-'",
        lambda v: _write_if(_FEED, re.sub("[^a-z0-9_-]+", "-", v.lower()).strip("-")),
    ),
]


def key_of(fields: Mapping[str, Any]) -> str | None:
    """The delivery key, ``H1234`` or ``H1234#feed``, that fields of a file say; None if these are wrong."""
    number, feed = fields.get("client_h_number"), fields.get("feed")
    if not (isinstance(number, str) and re.fullmatch(_H_NUMBER, number)):
        return None
    if feed is None:
        return number
    return f"{number}#{feed}" if isinstance(feed, str) and re.fullmatch(_FEED, feed) else None


Region = Annotated[
    str,
    *pattern_field(
        _REGION,
        "an AWS region such as us-east-1",
        lambda v: _write_if(_REGION, re.sub("(?<=[0-9])[a-z]$", "", v.lower())),
    ),
]
RoleArn = Annotated[
    str,
    *pattern_field(
        _PARTITION + r":iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,576}",
        "the ARN of an IAM role, such as arn:aws:iam::111122223333:role/partner-landing-writer",
        lambda v: "This is the session of an assumed role; the role's own ARN is needed." if ":sts:" in v else "",
    ),
]
ExternalId = Annotated[
    str, *pattern_field(r"[A-Za-z0-9_+=,.@:/-]{2,1224}", "2 to 1224 letters, digits and '_+=,.@:/-'")
]
S3KmsKey = Annotated[
    str,
    *pattern_field(
        rf"{_PARTITION}:kms:{_REGION}:[0-9]{{12}}:(key/(mrk-)?[0-9a-f-]{{32,36}}|{_KMS_ALIAS})|(mrk-)?[0-9a-f-]{{32,36}}|{_KMS_ALIAS}",
        "a KMS key's ARN, its id, or an alias such as alias/landing",
    ),
]
GcsKmsKey = Annotated[
    str,
    *pattern_field(
        "projects/[^/ ]+/locations/[^/ ]+/keyRings/[^/ ]+/cryptoKeys/[^/ ]+",
        "a key's full name, projects/…/locations/…/keyRings/…/cryptoKeys/…",
        lambda v: "Leave '/cryptoKeyVersions/…' out." if "/cryptoKeyVersions/" in v else "",
    ),
]
GoogleProject = Annotated[
    str,
    *pattern_field(
        r"([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]",
        "a Google Cloud project id of 6 to 30 lower-case letters, digits and '-'",
        lambda v: "This is a project's number; its id is needed." if v.isdigit() else "",
    ),
]
ConnectionId = Annotated[
    str,
    *pattern_field(
        _CONNECTION_ID,
        "an Airflow connection id of letters, digits, '_', '-' and '.'",
        lambda v: _write_if(_CONNECTION_ID, v.removeprefix("airflow/connections/")),
    ),
]
SnsTopic = Annotated[
    str,
    *pattern_field(
        _PARTITION + rf":sns:{_REGION}:[0-9]{{12}}:[A-Za-z0-9_-]{{1,256}}",
        "the ARN of an SNS topic, such as arn:aws:sns:us-east-1:111122223333:deliveries",
        lambda v: (
            "The order does not matter here: use a standard topic instead of a FIFO topic."
            if v.endswith(".fifo")
            else ""
        ),
    ),
]
EventBus = Annotated[
    str,
    *pattern_field(
        _PARTITION + rf":events:{_REGION}:[0-9]{{12}}:event-bus/[A-Za-z0-9._/-]{{1,256}}|[A-Za-z0-9._-]{{1,256}}",
        "the name of an EventBridge bus, or its ARN",
    ),
]
TemporaryMark = Annotated[
    str,
    *pattern_field(
        r"[A-Za-z0-9._~+=@#-]{0,32}",
        "at most 32 letters, digits and any of '._~+=@#-'",
        lambda v: "" if "/" not in v else "A folder is set with `staging_directory`.",
    ),
]
FileMode = Annotated[
    str,
    *pattern_field("0?[0-7]{3}", 'three octal digits in quotes, such as "0640"'),
]


def _h_number(value: str) -> str:
    return "H" + re.sub("[^0-9]", "", value)


def _check_s3_bucket(value: str) -> str:
    _refuse_bucket_address(value)
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", value) or ".." in value or _is_ipv4(value):
        raise refusal(
            "an S3 bucket's name: 3 to 63 lower-case letters, digits, '-' and '.', not like an IP address",
            _write_if("[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", value.lower()),
        )
    if value.startswith(_S3_RESERVED_STARTS) or value.endswith(_S3_RESERVED_ENDS):
        raise refusal("an S3 bucket's name without a prefix or suffix that AWS reserves")
    if OWN_BUCKETS.fullmatch(value):
        raise refusal(
            "a bucket of a client or of a pick-up",
            "This one has the environment's own code or logs, or files under way: nothing is delivered from or to it.",
        )
    return value


def _check_gcs_bucket(value: str) -> str:
    _refuse_bucket_address(value)
    parts = value.split(".")
    if (
        not re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", value)
        or any(not 1 <= len(part) <= 63 for part in parts)
        or _is_ipv4(value)
    ):
        raise refusal(
            "a GCS bucket's name: 3 to 63 lower-case letters, digits, '-', '_' and '.', not like an IP address",
            _write_if("[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]", value.lower()),
        )
    if value.startswith("goog") or "google" in value:
        raise refusal("a GCS bucket's name that does not begin with 'goog' or contain 'google'")
    return value


def _refuse_bucket_address(value: str) -> None:
    if match := re.match(r"(?:s3|gs)://([^/]*)", value):
        raise refusal("a bucket's name, not its address", write(match[1]))
    if "/" in value:
        bucket, _, prefix = value.partition("/")
        hint = f"The bucket is {quoted(bucket)}; {quoted(prefix)} belongs in `prefix`." if prefix else write(bucket)
        raise refusal("a bucket's name without '/'", hint)
    if value.startswith("arn:"):
        raise refusal("a bucket's name, not its ARN", write(value.rpartition(":")[2]))


def _is_ipv4(value: str) -> bool:
    try:
        IPv4Address(value)
    except ValueError:
        return False
    return True


OWN_BUCKETS = re.compile(r"client-delivery-[a-z0-9-]+-(airflow|access-logs|prepared)-[0-9]{12}")
"""The buckets that an environment keeps its code and its logs in, by the names that ``infra/settings.py`` gives them.
A client that could write there would write code, not data; nothing there is a delivery."""
_S3_RESERVED_STARTS = ("xn--", "sthree-", "amzn-s3-demo-")
_S3_RESERVED_ENDS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")

S3Bucket = Annotated[
    str,
    AfterValidator(_check_s3_bucket),
    WithJsonSchema({"type": "string", "pattern": "^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"}),
]
GcsBucket = Annotated[
    str,
    AfterValidator(_check_gcs_bucket),
    WithJsonSchema({"type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$"}),
]


def _check_host(value: str) -> str:
    if "://" in value:
        raise refusal("a host name without 'sftp://'", _write_if(_HOST, re.sub(r"^[a-z0-9]+://|[:/].*$", "", value)))
    if "@" in value:
        raise refusal("a host name without '@'", "Write the part before '@' as `username`.")
    try:
        ip_address(value)
    except ValueError:
        pass
    else:
        return value
    if re.fullmatch(r"[^:]+:[0-9]+", value):
        raise refusal("a host name without a port", "Write the part after ':' as `port`.")
    if len(value) > 253 or not re.fullmatch(_HOST, value) or re.fullmatch("[0-9.]+", value):
        raise refusal("a host name such as sftp.example.org, or an IP address")
    return value


_LABEL = "[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_HOST = rf"{_LABEL}(\.{_LABEL})*\.?"

Host = Annotated[
    str, AfterValidator(_check_host), WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9:._-]{1,253}$"})
]


def _check_username(value: str) -> str:
    if not 1 <= len(value) <= 255 or not value.isprintable() or value != value.strip():
        raise refusal(
            "1 to 255 visible characters without spaces around them", write(value.strip()) if value.strip() else ""
        )
    return value


Username = Annotated[
    str, AfterValidator(_check_username), WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 255})
]
