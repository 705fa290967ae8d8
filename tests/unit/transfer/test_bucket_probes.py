"""A test of a bucket before the first file: what is told of a service's rarer responses."""

from __future__ import annotations

import json
import socket
import threading
from email.utils import formatdate
from time import time

import pytest

from client_delivery.transfer.finding import Findings, Outcome
from client_delivery.transfer.gcs.probe import RIGHTS, GcsProbe
from client_delivery.transfer.reach import addresses_of, reach_service
from client_delivery.transfer.s3.probe import S3Probe
from tests.unit.transfer.scripted_service import NS, Reply, error, gcs_config, s3_config

KEY = "in/probe"
NOT_THERE = Reply(404)


def told(findings: Findings, what: str) -> tuple[Outcome, str]:
    (found,) = [one for one in findings.findings if one.what == what]
    return found.outcome, found.told


def s3_probe(service) -> tuple[S3Probe, Findings]:
    findings = Findings()
    return S3Probe(s3_config(), service.s3(), findings, name="probe"), findings


def gcs_probe(service, **secret: str) -> tuple[GcsProbe, Findings]:
    findings = Findings()
    secret_of = service.gcs_secret(**secret)
    return GcsProbe(gcs_config(), secret_of, findings, endpoint=service.url, name="probe"), findings


def off_by(seconds: float) -> dict[str, str]:
    return {"date": formatdate(time() - seconds)}


# -- S3 ----------------------------------------------------------------------------------------------------------------


def test_a_bucket_in_another_region_is_told_with_the_line_that_fits(service):
    service.says(Reply(403, headers={"x-amz-bucket-region": "eu-central-1"}))
    probe, findings = s3_probe(service)
    probe.run(write=False)
    assert told(findings, "Bucket") == (Outcome.NO, "'bucket' is in eu-central-1, and us-east-1 is asked")
    assert [(fit.field, fit.value) for fit in findings.fits] == [("region", "eu-central-1")]
    assert findings.fails


def test_a_bucket_that_may_not_be_looked_at_is_tried_all_the_same(service):
    service.says(Reply(403, headers={"x-amz-bucket-region": "us-east-1"}), NOT_THERE)
    probe, findings = s3_probe(service)
    probe.run(write=False)
    assert told(findings, "Bucket")[0] is Outcome.UNKNOWN
    assert told(findings, "Looking")[0] is Outcome.YES
    assert not findings.fails


def test_a_bucket_that_is_not_there_ends_the_test(service):
    service.says(Reply(404))
    probe, findings = s3_probe(service)
    probe.run(write=True)
    assert told(findings, "Bucket") == (Outcome.NO, "there is no bucket 'bucket'")


@pytest.mark.parametrize(
    ("seconds", "outcome"), [(0, Outcome.YES), (400, Outcome.NO), (-400, Outcome.NO), (None, None)]
)
def test_s3s_clock_is_compared_with_ours(service, seconds, outcome):
    service.says(Reply(200, headers={"date": "today"} if seconds is None else off_by(seconds)), NOT_THERE)
    probe, findings = s3_probe(service)
    probe.run(write=False)
    clocks = [one for one in findings.findings if one.what == "Clock"]
    assert [one.outcome for one in clocks] == ([] if outcome is None else [outcome])
    assert not findings.fails


def version(number: int, **headers: str) -> Reply:
    return Reply(200, headers={"x-amz-version-id": f"v{number}", **headers})


def test_every_version_of_the_test_object_is_removed(service):
    service.says(version(2), Reply(204), version(1), Reply(204), NOT_THERE)
    assert s3_probe(service)[0].remove(KEY) == ""
    removed = [one.path.rpartition("versionId=")[2] for one in service.asked if one.method == "DELETE"]
    assert removed == ["v2", "v1"]


def test_an_object_that_comes_back_each_time_is_told(service):
    for number in range(8):
        service.says(version(number), Reply(204))
    assert s3_probe(service)[0].remove(KEY) == "it is still there"


def test_an_object_that_may_not_be_looked_at_is_removed_unseen(service):
    service.says(Reply(403), Reply(204))
    assert s3_probe(service)[0].remove(KEY) == ""


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (
            version(1, **{"x-amz-object-lock-mode": "COMPLIANCE", "x-amz-object-lock-retain-until-date": "2030-01-02"}),
            "the object lock keeps its versions: locked until 2030-01-02 (COMPLIANCE)",
        ),
        (
            version(1, **{"x-amz-object-lock-legal-hold": "ON"}),
            "the object lock keeps its versions: under a legal hold",
        ),
        (version(1), "an older version of it stays in the bucket: its versions may not be removed"),
    ],
)
def test_a_version_that_cannot_be_removed_is_told_with_the_reason(service, head, why):
    service.says(head, error(403, "AccessDenied"), Reply(204))
    assert s3_probe(service)[0].remove(KEY) == why


def test_what_may_not_be_removed_at_all_is_told(service):
    service.says(Reply(200), error(403, "AccessDenied"), error(403, "AccessDenied"))
    assert "may not remove it" in s3_probe(service)[0].remove(KEY)


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        (error(404, "ObjectLockConfigurationNotFoundError"), ""),
        (error(403, "AccessDenied"), None),
        (Reply(200, f"<ObjectLockConfiguration {NS}/>".encode()), ""),
        (
            Reply(
                200,
                f"<ObjectLockConfiguration {NS}><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>30</Days>"
                "</DefaultRetention></Rule></ObjectLockConfiguration>".encode(),
            ),
            "the bucket keeps every object for 30 days (object lock, GOVERNANCE)",
        ),
    ],
)
def test_the_buckets_rule_for_new_objects(service, reply, found):
    service.says(reply)
    assert s3_probe(service)[0].retention() == found


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        (Reply(200, headers={"x-amz-server-side-encryption": "AES256"}), [("Encryption", "by S3 itself (AES256)")]),
        (
            Reply(200, headers={"x-amz-server-side-encryption-aws-kms-key-id": "arn:k"}),
            [("Encryption", "by the KMS key arn:k")],
        ),
        (NOT_THERE, []),  # a recipient has taken it away
        (Reply(403), []),
        (Reply(200), []),
    ],
)
def test_what_s3_says_of_the_object_that_arrived(service, reply, found):
    service.says(reply)
    assert list(s3_probe(service)[0].about(KEY)) == found


# -- Google ------------------------------------------------------------------------------------------------------------


def granted(*rights: str, **headers: str) -> Reply:
    return Reply(200, json.dumps({"permissions": rights}).encode(), headers)


def test_a_token_that_google_refuses_ends_the_test(service):
    service.says(Reply(401), Reply(401))
    probe, findings = gcs_probe(service)
    probe.run(write=True)
    assert told(findings, "Credential") == (Outcome.NO, "Google refuses the token")


def test_rights_that_google_does_not_tell_are_tried(service):
    service.says(Reply(403), NOT_THERE)
    probe, findings = gcs_probe(service)
    probe.run(write=False)
    assert told(findings, "Rights") == (Outcome.UNKNOWN, "Google does not tell; they are tried")
    assert told(findings, "Looking")[0] is Outcome.YES
    assert probe.may_remove(KEY) is None


def test_rights_in_a_form_that_cannot_be_read_are_tried(service):
    service.says(Reply(200, b"<html>"), NOT_THERE)
    probe, findings = gcs_probe(service)
    probe.run(write=False)
    assert told(findings, "Rights")[0] is Outcome.UNKNOWN
    assert not findings.fails


def test_a_right_that_only_replacing_needs_does_not_stop_deliveries(service):
    service.says(granted(*(right for right in RIGHTS if right != "storage.objects.delete")), NOT_THERE)
    probe, findings = gcs_probe(service)
    probe.run(write=False)
    assert told(findings, "Rights") == (
        Outcome.NO,
        "missing: storage.objects.delete (replacing a file of the same name)",
    )
    assert not findings.fails
    assert probe.may_remove(KEY) is False


def test_a_clock_that_is_off_is_ours_to_set(service):
    service.says(granted(*RIGHTS, **off_by(150)), NOT_THERE)
    probe, findings = gcs_probe(service)
    probe.run(write=False)
    outcome, words = told(findings, "Clock")
    assert (outcome, words.startswith("ours and Google's differ by 15")) == (Outcome.NO, True)
    assert not findings.fails


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        (Reply(200, b'{"retentionPolicy": {"retentionPeriod": "172800"}}'), "2 days"),
        (Reply(200, b'{"retentionPolicy": {"retentionPeriod": "90"}}'), "90 s"),
        (Reply(200, b'{"defaultEventBasedHold": true}'), "the bucket puts every object under an event-based hold"),
    ],
)
def test_what_a_bucket_keeps_is_told(service, reply, found):
    service.says(granted(*RIGHTS), NOT_THERE, reply)
    probe, _ = gcs_probe(service)
    probe.run(write=False)
    assert found in (probe.retention() or "")


@pytest.mark.parametrize(("reply", "found"), [(Reply(200, b"{}"), ""), (Reply(403), None), (Reply(200, b"<"), None)])
def test_a_bucket_that_keeps_nothing_or_does_not_say(service, reply, found):
    service.says(granted(*RIGHTS), NOT_THERE, reply)
    probe, _ = gcs_probe(service)
    probe.run(write=False)
    assert probe.retention() == found


def test_an_object_that_may_not_be_removed_is_told_in_googles_words(service):
    service.says(granted(*RIGHTS), NOT_THERE, error(403, "AccessDenied", "Access denied."))
    probe, _ = gcs_probe(service)
    probe.run(write=False)
    assert "Access denied [AccessDenied]" in probe.remove(KEY)


# -- before that -------------------------------------------------------------------------------------------------------


def closed() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_a_service_that_cannot_be_reached_ends_the_test_within_seconds(service):
    probe, findings = gcs_probe(service)
    probe._endpoint = f"http://127.0.0.1:{closed()}"
    probe.run(write=True)
    (found,) = findings.findings
    assert (found.what, found.outcome, found.here) == ("Reached", Outcome.NO, True)
    assert "refused" in found.told


def test_a_token_service_that_cannot_be_reached_is_told_as_such(service, monkeypatch):
    resolve = socket.getaddrinfo

    def no_google(host: str, *args: object, **kwargs: object) -> object:
        if host == "oauth2.googleapis.com":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", no_google)
    probe, findings = gcs_probe(service, token_uri="https://oauth2.googleapis.com/token")
    probe.run(write=True)
    assert told(findings, "Token service") == (Outcome.NO, "oauth2.googleapis.com:443: Name or service not known")
    assert not service.asked


def test_a_credential_that_is_none_is_told(service):
    probe, findings = gcs_probe(service, private_key="-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----")
    probe.run(write=True)
    outcome, words = told(findings, "Credential")
    assert outcome is Outcome.NO
    assert "cut or damaged" in words


def test_what_goes_through_a_proxy_is_not_tried_directly(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://proxy.example.org:3128")
    monkeypatch.delenv("no_proxy", raising=False)
    findings = Findings()
    assert reach_service("https://storage.googleapis.com", findings, "Reached")
    assert told(findings, "Reached")[0] is Outcome.UNKNOWN


def test_a_name_that_nobody_has_is_an_error(monkeypatch):
    def unknown(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(OSError, match="not known"):
        addresses_of("sftp.example.invalid", 22)


def test_a_name_server_that_never_responds_is_given_up(monkeypatch):
    time_out = threading.Event()
    monkeypatch.setattr("client_delivery.transfer.reach.RESOLVE_SECONDS", 0.05)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: time_out.wait(5) and [])
    with pytest.raises(TimeoutError, match="no name server responded"):
        addresses_of("sftp.example.org", 22)
    time_out.set()
