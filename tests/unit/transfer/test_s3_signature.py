"""What the runtime signs is what botocore would sign, for every kind of request that the engine makes (R2.3)."""

import datetime

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from client_delivery.transfer.s3_wire.chunked import TRAILER
from client_delivery.transfer.s3_wire.signature import EMPTY, TRAILED, Signer

_HOST = "bucket.s3.eu-central-1.amazonaws.com"
_REQUESTS = {
    "read": ("GET", "/file.csv", {"If-Match": '"abc"', "X-Amz-Checksum-Mode": "ENABLED"}, EMPTY),
    "stretch": ("GET", "/file.csv", {"Range": "bytes=0-1048575", "If-Match": '"abc"'}, EMPTY),
    "version": ("HEAD", "/file.csv?versionId=3%2FL4kqtJ.lcpXroDTDmJ%2Brmz", {}, EMPTY),
    "escaped": ("GET", "/a%20b/%C3%BC%2B%26%3D%3F%25/~x%27%28%29%2A%21.csv", {}, EMPTY),
    "dots and slashes stay": ("GET", "/a//b/../c/./d", {}, EMPTY),
    "several in the query": ("GET", "/k?uploadId=x%2By&partNumber=12&x-id=UploadPart", {}, EMPTY),
    "nothing behind the name": ("POST", "/k?uploads=", {}, EMPTY),
    "blanks in a value": ("PUT", "/k", {"Content-Disposition": 'attachment;  filename="a  b.csv"'}, EMPTY),
    "body": (
        "PUT",
        "/k",
        {
            "If-None-Match": "*",
            "x-amz-meta-Origin": "Lab 7",
            "Content-Encoding": "gzip,aws-chunked",
            "X-Amz-Decoded-Content-Length": "1000",
            "X-Amz-Trailer": TRAILER,
        },
        TRAILED,
    ),
}


@pytest.mark.parametrize("token", [None, "FwoGZXIvYXdzEXAMPLE//////////wEaDK=="], ids=["lasting", "temporary"])
@pytest.mark.parametrize("kind", _REQUESTS)
def test_the_signature_is_the_one_that_botocore_computes(kind, token, monkeypatch):
    method, target, headers, payload = _REQUESTS[kind]
    credentials = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token)

    ours = Signer(credentials).headers(method, _HOST, target, headers, region="eu-central-1", payload=payload)

    at = datetime.datetime.strptime(ours["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda remove_tzinfo=True: at.replace(tzinfo=None))
    theirs = AWSRequest(method, f"https://{_HOST}{target}", dict(headers))
    if payload == TRAILED:
        theirs.context["checksum"] = {"request_algorithm": {"in": "trailer", "name": TRAILER}}
    S3SigV4Auth(credentials.get_frozen_credentials(), "s3", "eu-central-1").add_auth(theirs)

    def plain(found):
        return {name.lower(): value for name, value in found.items()}

    assert plain(ours) == plain(theirs.headers)
    assert abs(datetime.datetime.now(datetime.UTC) - at) < datetime.timedelta(minutes=1)


def test_credentials_that_were_renewed_sign_the_next_request():
    class Renewing:
        number = 0

        def get_frozen_credentials(self):
            self.number += 1
            return Credentials(f"AKID{self.number}", "secret", f"token-{self.number}").get_frozen_credentials()

    signer = Signer(Renewing())
    for number in (1, 2):
        headers = signer.headers("GET", _HOST, "/k", {}, region="eu-central-1", payload=EMPTY)
        assert f"Credential=AKID{number}/" in headers["Authorization"]
        assert headers["X-Amz-Security-Token"] == f"token-{number}"
