"""What S3's refusals mean (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html)."""

from __future__ import annotations

from client_delivery.transfer.contract import DestinationUnavailable, TransferError
from client_delivery.transfer.objects.refusals import WRONG_BYTES, Meaning

MEANINGS = (
    Meaning(
        r"^\d+ (NoSuchBucket|InvalidBucketName)\b",
        "There is no bucket {bucket!r}: correct destination.bucket, or have it created.",
        DestinationUnavailable,
    ),
    Meaning(
        r"^\d+ (ExpiredToken|InvalidAccessKeyId|InvalidClientTokenId|InvalidToken|SignatureDoesNotMatch"
        r"|TokenRefreshRequired|UnrecognizedClient)",
        "The credentials of {who} are refused: they have expired or are no longer valid.",
        DestinationUnavailable,
    ),
    Meaning(
        r"^301 |^\d+ (PermanentRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraintException)\b",
        "The bucket {bucket!r} is in another region: correct destination.region.",
        DestinationUnavailable,
    ),
    Meaning(
        r"^\d+ (AccountProblem|AllAccessDisabled|NotSignedUp)\b",
        "The owner of the bucket {bucket!r} must check the account.",
        DestinationUnavailable,
    ),
    WRONG_BYTES,
    Meaning(
        r"^\d+ (ConditionalRequestConflict|OperationAborted|RequestTimeout|SlowDown)\b",
        "This is temporary; the request will be retried.",
        TransferError,
    ),
    Meaning(
        r"^\d+ InvalidObjectState\b",
        "The object in the pick-up is archived: restore it, then clear the run.",
        only_this=True,
    ),
    Meaning(
        "object.?lock|WORM|retention|legal hold",
        "The object that is there is locked: wait until the lock expires, or deliver the file under another name.",
        only_this=True,
    ),
    Meaning(
        "KMS",
        "{who} needs kms:GenerateDataKey and kms:Decrypt on the key, which has to be enabled and in the bucket's"
        " region.",
    ),
    Meaning("skew", "The clock of this machine is wrong."),
    Meaning("requester.?pays", "This bucket makes the requester pay, which deliveries do not support."),
    Meaning("AccessControlListNotSupported", "The bucket does not allow ACLs: remove destination.acl."),
    Meaning("quota|limit exceeded", "A quota is used up: the next attempt may succeed, or its owner can raise it."),
    Meaning(
        "^403 ",
        "{who} may not do that: have its policy and the bucket's policy allow it. To create objects it needs "
        "s3:PutObject; the reference lists what further permissions are for.",
    ),
)
