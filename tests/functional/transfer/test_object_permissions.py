"""What each permission buys (R6.11, R6.12): permission set by size, new or there already, and what comes of it.

``docs/developers/conditional-requests.md`` has the same table; a test holds the two together.
"""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from client_delivery.transfer.contract import DestinationUnavailable, Job, Refused
from client_delivery.transfer.objects.refusals import quoted
from local.gcs_permissions import OBJECT_CREATOR
from tests.functional.transfer.conftest import MIB, Journal, deliver

PERMISSIONS = {
    "gcs": {
        "none": (),
        "create": OBJECT_CREATOR,
        "create, get": (*OBJECT_CREATOR, "storage.objects.get"),
        "create, delete": (*OBJECT_CREATOR, "storage.objects.delete"),
        "create, get, delete": (*OBJECT_CREATOR, "storage.objects.get", "storage.objects.delete"),
        "all": (
            *OBJECT_CREATOR,
            "storage.objects.get",
            "storage.objects.delete",
            "storage.multipartUploads.list",
        ),
    },
    "s3": {
        "none": (),
        "PutObject": ("s3:PutObject",),
        "PutObject, GetObject": ("s3:PutObject", "s3:GetObject"),
        "all": (
            "s3:PutObject",
            "s3:GetObject",
            "s3:ListBucket",
            "s3:AbortMultipartUpload",
            "s3:ListMultipartUploadParts",
            "s3:ListBucketMultipartUploads",
        ),
    },
}
SIZES = {"small": 1000, "large": 9 * MIB}
DELIVERED, KEPT, DENIED, UNSEEN = (
    "delivered",
    "refused: the older one stays",
    "refused",
    "delivered: overwritten unseen",
)
OUTCOMES = {
    # permissions: small and new, small and there already, large and new, large and there already
    ("gcs", "none"): (DENIED, DENIED, DENIED, DENIED),
    ("gcs", "create"): (DELIVERED, KEPT, DELIVERED, KEPT),
    ("gcs", "create, get"): (DELIVERED, KEPT, DELIVERED, KEPT),
    ("gcs", "create, delete"): (DELIVERED, KEPT, DELIVERED, UNSEEN),
    ("gcs", "create, get, delete"): (DELIVERED, DELIVERED, DELIVERED, DELIVERED),
    ("gcs", "all"): (DELIVERED, DELIVERED, DELIVERED, DELIVERED),
    ("s3", "none"): (DENIED, DENIED, DENIED, DENIED),
    ("s3", "PutObject"): (DELIVERED, KEPT, DELIVERED, KEPT),
    ("s3", "PutObject, GetObject"): (DELIVERED, DELIVERED, DELIVERED, DELIVERED),
    ("s3", "all"): (DELIVERED, DELIVERED, DELIVERED, DELIVERED),
}
COLUMNS = [(size, there) for size in SIZES for there in ("new", "there already")]
DOCS = Path(__file__).resolve().parents[3] / "docs" / "developers" / "conditional-requests.md"


@pytest.fixture
def permit(servers):
    def allow(kind: str, permissions: tuple[str, ...] | None) -> None:
        url = servers.gcs_url if kind == "gcs" else servers.s3_url
        granted = {} if permissions is None else {"target": list(permissions)}
        httpx.put(f"{url}/_local/permissions", json=granted).raise_for_status()

    yield allow
    allow("gcs", None)
    allow("s3", None)


@pytest.mark.parametrize("place", range(4), ids=["-".join(column) for column in COLUMNS])
@pytest.mark.parametrize(("kind", "granted"), OUTCOMES)
def test_r6_11_what_each_permission_buys(servers, permit, kind, granted, place):
    size, there = COLUMNS[place]
    source, crc32c = servers.declare(SIZES[size])
    older = None
    if there != "new":
        other, older = servers.declare(777, f"{source.key}.older")
        with servers.open(kind) as destination:
            destination.deliver(Job(source.key, other, token=1), Journal())
    permit(kind, PERMISSIONS[kind][granted])
    if kind == "s3":
        # A partner's role may not read the pick-up: the bytes are streamed.
        servers.s3_faults({"call": "CopyObject|UploadPartCopy", "status": 403, "code": "AccessDenied", "times": 0})
    expected = OUTCOMES[kind, granted][place]
    if expected in (DELIVERED, UNSEEN):
        receipt = deliver(servers.open(kind), source)
        assert (receipt.checksum, receipt.verified_by) == (f"crc32c:{crc32c}", "checksum")
        assert servers.visible(kind)[source.key] == (source.size, crc32c)
        return
    with pytest.raises(Refused) as raised:
        deliver(servers.open(kind), source)
    assert (raised.value.whole_destination, raised.value.retry_helps) == (False, True)
    if expected == KEPT:
        assert raised.value.alike is None, "that there is an older one says nothing about other files"
        assert servers.visible(kind)[source.key] == (777, older)
        assert "have the recipient remove" in str(raised.value).lower(), "what to do is said"
    else:
        assert source.key not in servers.visible(kind) or there != "new"
        assert "storage.objects.create" in str(raised.value) or "s3:PutObject" in str(raised.value)


@pytest.mark.parametrize(("kind", "granted"), OUTCOMES)
def test_the_documentation_has_the_same_table(kind, granted):
    row = f"| {kind} | {granted} | " + " | ".join(OUTCOMES[kind, granted]) + " |"
    assert row in DOCS.read_text()


@pytest.mark.parametrize("kind", ["gcs", "s3"])
def test_an_account_that_may_only_create_resumes_or_begins_anew(servers, permit, kind):
    """Google's objectCreator may list parts; S3's PutObject alone may not: then the file is sent from its start."""
    source, crc32c = servers.declare(40 * MIB)
    options = {"max_bytes_per_second": 10**12} if kind == "s3" else {}
    permit(kind, PERMISSIONS[kind]["create" if kind == "gcs" else "PutObject"])
    (servers.gcs_faults if kind == "gcs" else servers.s3_faults)(
        {"call": "CompleteUpload|CompleteMultipartUpload", "status": 400, "code": "InvalidRequest", "times": 1}
    )
    journal = Journal()
    with pytest.raises(Refused, match="InvalidRequest"):
        deliver(servers.open(kind, **options), source, journal)
    before = servers.s3_facts()["sent"]
    receipt = deliver(servers.open(kind, **options), source, token=2, resume=journal.states[-1])
    assert receipt.checksum == f"crc32c:{crc32c}"
    again = servers.s3_facts()["sent"] - before
    assert again == (0 if kind == "gcs" else source.size)


@pytest.mark.parametrize(
    ("code", "reason", "advice"),
    [
        ("RetentionPolicyNotMet", "Object is subject to the bucket's retention policy", "under another name"),
        ("ObjectUnderActiveHold", "Object is under active Temporary hold", "have its owner release it"),
        ("AccessDenied", "Permission denied on Cloud KMS key", "cryptoKeyEncrypterDecrypter"),
        ("AccessDenied", "Request is prohibited by organization's policy (VPC Service Controls)", "perimeter"),
        ("UserProjectMissing", "Bucket is requester pays bucket but no user project provided.", "destination.project"),
        ("RequestTimeTooSkewed", "The difference is too large", "clock"),
    ],
)
def test_r6_12_a_refusal_quotes_the_service_and_says_what_to_do(code, reason, advice):
    from client_delivery.transfer.gcs.refusals import MEANINGS
    from client_delivery.transfer.objects.refusals import refusal

    names = {"bucket": "b", "connection_id": "c"}
    error = refusal(MEANINGS, "Google", (403, code, reason), verb="write", uri="gs://b/k", new=True, **names)
    assert type(error) is Refused
    for part in (reason.rstrip("."), code, advice, "gs://b/k"):
        assert part in str(error)


@pytest.mark.parametrize(
    ("service", "told", "concerns_all"),
    [
        ("gcs", (404, "NoSuchBucket", "The specified bucket does not exist."), True),
        ("gcs", (401, "AuthenticationRequired", "Authentication required."), True),
        ("gcs", (403, "AccessDenied", "Access denied."), False),
        ("gcs", (403, "RetentionPolicyNotMet", "subject to retention"), False),
        ("s3", (404, "NoSuchBucket", "The specified bucket does not exist"), True),
        ("s3", (403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist"), True),
        ("s3", (400, "ExpiredToken", "The provided token has expired."), True),
        ("s3", (301, "PermanentRedirect", "must be addressed using the specified endpoint"), True),
        ("s3", (403, "AccessDenied", "Access Denied because object protected by object lock."), False),
        ("s3", (403, "AccessDenied", "User is not authorized to perform: s3:PutObject"), False),
    ],
)
def test_r6_12_only_what_concerns_the_whole_makes_the_destination_unavailable(service, told, concerns_all):
    from importlib import import_module

    from client_delivery.transfer.objects.refusals import refusal

    meanings = import_module(f"client_delivery.transfer.{service}.refusals").MEANINGS
    names = {"bucket": "b", "connection_id": "c", "who": "The role"}
    error = refusal(meanings, service, told, verb="write", uri="x://b/k", new=True, **names)
    assert error.whole_destination is concerns_all
    assert isinstance(error, DestinationUnavailable) is concerns_all


def test_a_services_words_are_one_printable_line_of_bounded_length():
    told = quoted("Code", "two\nlines\x1b[31m " + "x" * 1000)
    assert "\n" not in told
    assert "\x1b" not in told
    assert len(told) < 450
    assert told.endswith("… [Code]")
