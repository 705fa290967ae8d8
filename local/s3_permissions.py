"""Which permission a call of S3 needs: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html.

``PUT /_local/permissions`` takes a JSON object: the permissions by bucket. In other buckets everything is allowed.
"""

from __future__ import annotations

from collections.abc import Collection

from local.http_stand_in import StandInError

_NEEDED = {
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
    "CopyObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "UploadPartCopy": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "ListParts": "s3:ListMultipartUploadParts",
    "ListObjectsV2": "s3:ListBucket",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "DeleteObject": "s3:DeleteObject",
    "GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
}


def require_permission(granted: Collection[str], call: str, *, there: bool, conditional: bool) -> None:
    """Raises what S3 responds to a role that may not do that.

    Without ``s3:ListBucket`` an object that is not there is denied, not missing; ``If-Match`` needs ``s3:GetObject``
    as well (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html).
    """
    needed = [_NEEDED[call]]
    if call in ("GetObject", "HeadObject") and not there:
        needed.append("s3:ListBucket")
    if conditional:
        needed.append("s3:GetObject")
    for action in needed:
        if action not in granted:
            raise StandInError(
                403,
                "AccessDenied",
                "User: arn:aws:sts::111122223333:assumed-role/partner-writer/client-file-delivery is not authorized to "
                f"perform: {action} because no identity-based policy allows the {action} action",
            )
