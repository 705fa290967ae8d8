"""What Google Cloud Storage's refusals mean (https://cloud.google.com/storage/docs/xml-api/reference-status)."""

from __future__ import annotations

from client_delivery.transfer.contract import DestinationUnavailable
from client_delivery.transfer.objects.refusals import WRONG_BYTES, Meaning

MEANINGS = (
    Meaning(
        r"^\d+ (NoSuchBucket|InvalidBucketName)\b",
        "Google Cloud Storage has no bucket {bucket!r}: correct destination.bucket, or have it created.",
        DestinationUnavailable,
    ),
    Meaning(
        "^401 ",
        "Google refuses the credential in the Airflow connection {connection_id!r}: store a valid one.",
        DestinationUnavailable,
    ),
    Meaning(
        r"^\d+ (UserProject)?AccountProblem\b",
        "The bucket's owner must check the account and the billing of the bucket {bucket!r}.",
        DestinationUnavailable,
    ),
    WRONG_BYTES,
    Meaning(
        "retention",
        "A retention policy protects the object that is there: wait until it expires, or deliver the file under "
        "another name.",
        only_this=True,
    ),
    Meaning(
        r"\bhold\b|UnderActiveHold",
        "A hold protects the object that is there: have its owner release it, or deliver the file under another name.",
        only_this=True,
    ),
    Meaning(
        r"storage\.objects\.delete",
        "The account may create objects, but not overwrite them: grant storage.objects.delete, or have the "
        "recipient remove the object that is there.",
        only_this=True,
    ),
    Meaning(
        "requester.?pays|UserProject|serviceusage",
        "The requester pays in this bucket: name a project in destination.project in which the account has"
        " serviceusage.services.use.",
    ),
    Meaning(
        "KMS|cryptoKey",
        "Google's storage service agent needs roles/cloudkms.cryptoKeyEncrypterDecrypter on the key, which has to be"
        " enabled and in the bucket's location.",
    ),
    Meaning(
        "VPC.?Service|service perimeter|organization's policy",
        "A service perimeter blocks calls from here: its owner must admit this account and network.",
    ),
    Meaning("skew", "The clock of this machine is wrong."),
    Meaning("quota|rate.?limit", "A quota is used up: the next attempt may succeed, or its owner can raise it."),
    Meaning(
        "^403 ",
        "The account in the Airflow connection {connection_id!r} needs storage.objects.create, for files above 4 MiB"
        " storage.multipartUploads.create as well, and storage.objects.get and .delete to overwrite.",
    ),
)
