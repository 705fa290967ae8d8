"""Google Cloud Storage's rarer responses to what the engine asks of its XML API."""

from __future__ import annotations

import json

import pytest

from client_delivery.transfer.contract import DestinationUnavailable, IntegrityError, TransferError
from client_delivery.transfer.gcs.api import GcsApi
from client_delivery.transfer.gcs.listing import GcsListing
from client_delivery.transfer.integrity import Digest
from client_delivery.transfer.listing import Limit, ListingRefused
from client_delivery.transfer.objects.api import Occupied, Stored
from client_delivery.transfer.reading.carried import NOTHING
from tests.unit.transfer.scripted_service import Reply, error, gcs_config

GONE = error(404, "NoSuchUpload")
NO_BUCKET = error(404, "NoSuchBucket", "The specified bucket does not exist.")
ASSEMBLED = Stored("7", 10)


class Span:
    """Some bytes of a part."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.digest = Digest()
        self.digest.update(content)

    def __len__(self) -> int:
        return len(self._content)

    def __iter__(self):
        yield self._content


def test_the_parts_of_all_pages_are_found(service):
    def page(number: int, *, more: bool) -> Reply:
        part = f"<Part><PartNumber>{number}</PartNumber><ETag>e{number}</ETag></Part>"
        marks = f"<IsTruncated>{str(more).lower()}</IsTruncated><NextPartNumberMarker>{number}</NextPartNumberMarker>"
        return Reply(200, f"<ListPartsResult>{marks}{part}</ListPartsResult>".encode())

    service.says(page(1, more=True), page(1001, more=False))
    assert GcsApi(service.gcs()).parts("k", "u") == {1: "e1", 1001: "e1001"}
    assert [one.path.rpartition("=")[2] for one in service.asked] == ["0", "1"]


def test_a_bucket_that_is_gone_is_not_taken_for_an_upload_that_is_gone(service):
    api = GcsApi(service.gcs())
    service.says(NO_BUCKET, NO_BUCKET)
    with pytest.raises(TransferError, match="bucket"):
        api.complete("k", "u", {1: "e1"}, Digest(), None)
    with pytest.raises(TransferError, match="bucket"):
        api.compose("k", "place", ASSEMBLED, None, NOTHING)
    service.says(GONE, GONE)
    with pytest.raises(Occupied) as complete:
        api.complete("k", "u", {1: "e1"}, Digest(), None)
    with pytest.raises(Occupied) as compose:
        api.compose("k", "place", ASSEMBLED, None, NOTHING)
    assert complete.value.upload_gone
    assert compose.value.upload_gone


def test_the_storage_class_is_asked_for_where_objects_are_made_and_not_where_they_are_composed(service):
    api = GcsApi(service.gcs(storage_class="NEARLINE", kms_key="projects/p/locations/l/keyRings/r/cryptoKeys/k"))
    service.says(Reply(200, headers={"x-goog-generation": "1"}), Reply(200, headers={"x-goog-generation": "2"}))
    api.put("k", b"x", Digest(), None, NOTHING)
    api.compose("k", "place", ASSEMBLED, None, NOTHING)
    put, compose = service.asked
    assert put.headers["x-goog-storage-class"] == "NEARLINE"
    assert "x-goog-storage-class" not in compose.headers
    assert put.headers["x-goog-encryption-kms-key-name"] == compose.headers["x-goog-encryption-kms-key-name"]


@pytest.mark.parametrize("hashes", ["md5=1B2M2Y8AsgTpgAmY7PhCfg==", ""])
def test_a_part_whose_checksum_google_does_not_tell_has_not_arrived(service, hashes):
    service.says(Reply(200, headers={"etag": "e1", "x-goog-hash": hashes}))
    with pytest.raises(IntegrityError, match=r"Part 1 of gs://bucket/k"):
        GcsApi(service.gcs()).put_part("k", "u", 1, Span(b"content"))


def test_the_checksum_is_found_wherever_it_stands(service):
    span = Span(b"content")
    service.says(
        Reply(200, headers={"etag": "e1", "x-goog-hash": f"md5=1B2M2Y8AsgTpgAmY7PhCfg==, crc32c={span.digest.crc32c}"})
    )
    assert GcsApi(service.gcs()).put_part("k", "u", 1, span) == "e1"


def test_the_partners_project_pays_where_the_configuration_says_so(service):
    service.says(Reply(200, b"{}"), Reply(200))
    access = service.gcs(project="partner-billing")
    access.granted(["storage.objects.create"]).close()
    access("HEAD", "k", verb="look at").close()
    assert service.asked[0].path.endswith("permissions=storage.objects.create&userProject=partner-billing")
    assert service.asked[1].headers["x-goog-user-project"] == "partner-billing"


# -- listing -----------------------------------------------------------------------------------------------------------


def listed(service, seconds: float = 60) -> list[str]:
    with GcsListing(gcs_config(), service.gcs_secret(), service.url, "in/", Limit(seconds)) as listing:
        return [one.name for one in listing.files("acks/", "claims")]


def page(*names: str, token: str = "") -> Reply:
    told = {"items": [{"name": f"in/acks/{name}"} for name in names], **({"nextPageToken": token} if token else {})}
    return Reply(200, json.dumps(told).encode())


def test_all_pages_of_a_listing_are_read(service):
    service.says(page("claims.ok", token="t2"), page("claims.err"))
    assert listed(service) == ["claims.ok", "claims.err"]
    assert "pageToken=t2" in service.asked[1].path


def test_a_listing_that_takes_too_long_ends_with_what_to_do(service):
    service.says(page("claims.ok", token="t2"))
    with pytest.raises(TransferError, match="Have unneeded files removed there"):
        listed(service, seconds=0)


@pytest.mark.parametrize(
    ("reply", "raised", "told"),
    [
        (error(403, "AccessDenied"), ListingRefused, "storage.objects.list"),
        (NO_BUCKET, TransferError, r"refuses to list gs://bucket/in/acks/ \(status 404\)"),
        (Reply(200, b"<html>log in</html>"), TransferError, "in a form that cannot be read"),
        (Reply(200, b"[]"), TransferError, "in a form that cannot be read"),
    ],
)
def test_a_listing_that_is_none_is_never_an_empty_one(service, reply, raised, told):
    service.says(reply)
    with pytest.raises(raised, match=told):
        listed(service)


# -- who we are --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ({"error": "invalid_grant", "error_description": "Invalid JWT: iat out of timeframe"}, "ours differ"),
        ({"error": {"code": 403, "message": "Permission iam.serviceAccounts.getAccessToken denied"}}, "act as"),
        ({"error": "invalid_grant"}, r"\(invalid_grant: no description\)\. It has expired"),
        ({"message": "of another service"}, r"'acme'.* It has expired"),
    ],
)
def test_a_refused_credential_is_told_with_what_to_do(service, monkeypatch, said, advice):
    access = service.gcs()
    monkeypatch.setattr(service, "token", Reply(400, json.dumps(said).encode(), {"content-type": "application/json"}))
    with pytest.raises(DestinationUnavailable, match=advice):
        access("HEAD", "k", verb="look at")
    assert not service.asked


def test_another_service_in_the_place_of_googles_does_not_make_the_credential_wrong(service, monkeypatch):
    access = service.gcs()
    monkeypatch.setattr(service, "token", Reply(200, b'{"access_token": 7, "expires_in": "soon"}'))
    with pytest.raises(DestinationUnavailable, match=r"the network or Google, not the credential"):
        access("HEAD", "k", verb="look at")
