"""Tries a bucket in S3 before the first file: the identity, the bucket, and deliveries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from client_delivery.transfer.contract import DestinationUnavailable, TransferError
from client_delivery.transfer.finding import Findings
from client_delivery.transfer.objects.api import Occupied
from client_delivery.transfer.objects.probe import ObjectProbe, Rights
from client_delivery.transfer.reach import reach_service, tell_clock
from client_delivery.transfer.reading.held import HeldFiles
from client_delivery.transfer.s3.api import S3Api
from client_delivery.transfer.s3.bucket import NotAllowed
from client_delivery.transfer.s3.destination import S3Destination
from client_delivery.transfer.s3_wire.access import S3Access
from client_delivery.transfer.s3_wire.endpoint import Endpoint

if TYPE_CHECKING:
    from client_delivery.config.model import S3Section

_MOST_VERSIONS = 8
_SKEW = 300
"""Seconds; S3 refuses requests at 900."""


_ASKS = Rights(
    write="Let the role write objects below the prefix: s3:PutObject, and what a KMS key of the bucket needs.",
    parts="Let the role write objects below the prefix: s3:PutObject, for uploads in parts as well.",
    look="Allow s3:GetObject on the prefix, and s3:ListBucket on the bucket, if files of the same name are replaced.",
    replace="Allow s3:GetObject on the prefix, if files of the same name are to be replaced.",
    remove="Allow s3:DeleteObject on the prefix (and s3:DeleteObjectVersion, where the bucket has versions).",
    abort="Allow s3:AbortMultipartUpload, or have a lifecycle rule remove incomplete uploads after some days.",
    key="Allow the role kms:GenerateDataKey and kms:Decrypt in the key's own policy, and have the key enabled.",
)


_NO_LOCK = "ObjectLockConfigurationNotFoundError"


def _lock_of(head: Mapping[str, Any]) -> str:
    """What keeps an object, as S3 says of it."""
    until, hold = head.get("ObjectLockRetainUntilDate"), head.get("ObjectLockLegalHoldStatus") == "ON"
    kept = f"locked until {until:%Y-%m-%d} ({head.get('ObjectLockMode')})" if until else ""
    return " and ".join(filter(None, [kept, "under a legal hold" if hold else ""]))


class S3Probe:
    """One test of one bucket. The parameters are :class:`~client_delivery.transfer.sftp.probe.SftpProbe`'s."""

    asks = _ASKS

    def __init__(
        self, config: S3Section, access: S3Access, findings: Findings, *, name: str, leave: bool = False
    ) -> None:
        self._config = config
        self._access = access
        self._findings = findings
        self._name = name
        self._leave = leave
        self.api = S3Api(config, access)

    def run(self, *, write: bool) -> None:
        """Try it. With ``write`` false, nothing is written. Raises nothing that S3 can cause."""
        findings = self._findings
        if not reach_service(Endpoint.of(self._access.client, self._config.bucket).url, findings, "Reached"):
            return
        if self._tell_bucket():
            prefix = self._config.prefix
            ObjectProbe(self, findings, prefix=prefix, name=self._name, leave=self._leave).run(write=write)

    # -- what the service is asked beyond deliveries -----------------------------------------------------------------

    def target(self, files: HeldFiles, *, small: int) -> S3Destination:
        """A destination that delivers what is held."""
        return S3Destination(self._config, files, self._access, small=small, copies=False)

    def may_remove(self, key: str) -> bool | None:
        """By a removal that is conditional on an object that nobody has: it changes nothing, and leaves no marker.

        ``If-Match: *`` needs no other permission than s3:DeleteObject
        (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html).
        """
        try:
            self.api.call(
                "remove", key, self.api.s3.delete_object, missing="NoSuchKey", denied=NotAllowed(), IfMatch="*"
            )
        except NotAllowed:
            return False
        except Occupied:
            return True
        return True

    def remove(self, key: str) -> str:
        """Why it is still there, or empty. In a bucket with versions, each of ours is removed."""
        call, client = self.api.call, self.api.s3
        for _ in range(_MOST_VERSIONS):
            head: Any = None
            try:
                head = call("look at", key, client.head_object, missing="404", denied=NotAllowed())
            except NotAllowed:
                return self._removed_unseen(key)
            if head is None:
                return ""
            version = head.get("VersionId")
            try:
                if version is None:
                    call("remove", key, client.delete_object, denied=NotAllowed())
                else:
                    call("remove", key, client.delete_object, denied=NotAllowed(), VersionId=version)
            except NotAllowed:
                why, kept = self._removed_unseen(key), _lock_of(head)
                if kept:
                    return f"the object lock keeps its versions: {kept}"
                return why or "an older version of it stays in the bucket: its versions may not be removed"
        return "it is still there"

    def retention(self) -> str | None:
        """The bucket's own rule for new objects; it needs s3:GetBucketObjectLockConfiguration, which nobody else asks
        for.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectLockConfiguration.html: a bucket without object
        lock responds with ObjectLockConfigurationNotFoundError.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            told = self.api.s3.get_object_lock_configuration(Bucket=self._config.bucket)
        except ClientError as error:
            return "" if error.response.get("Error", {}).get("Code") == _NO_LOCK else None
        except BotoCoreError:
            return None
        kept = told.get("ObjectLockConfiguration", {}).get("Rule", {}).get("DefaultRetention")
        if not kept:
            return ""
        long = f"{kept['Years']} years" if "Years" in kept else f"{kept.get('Days')} days"
        return f"the bucket keeps every object for {long} (object lock, {kept.get('Mode')})"

    def about(self, key: str) -> Iterator[tuple[str, str]]:
        """By which key it is encrypted, and until when it is locked."""
        try:
            head = self.api.call("look at", key, self.api.s3.head_object, missing="404", denied=NotAllowed())
        except (NotAllowed, TransferError):
            return
        if head is None:
            return
        if kms := head.get("SSEKMSKeyId"):
            yield "Encryption", f"by the KMS key {kms}"
        elif method := head.get("ServerSideEncryption"):
            yield "Encryption", f"by S3 itself ({method})"
        if kept := _lock_of(head):
            yield "Retention", kept

    def _removed_unseen(self, key: str) -> str:
        try:
            self.api.call("remove", key, self.api.s3.delete_object, denied=NotAllowed())
        except NotAllowed:
            return f"{self.api.who} may not remove it"
        return ""

    def _tell_bucket(self) -> bool:
        """Whether the bucket is there, and the identity is one; False if it is of no use to go on."""
        from botocore.exceptions import BotoCoreError, ClientError

        findings, bucket = self._findings, self._config.bucket
        try:
            told = self._access.client.head_bucket(Bucket=bucket)["ResponseMetadata"]
        except ClientError as error:
            return self._tell_refusal(error.response.get("ResponseMetadata", {}))
        except DestinationUnavailable as error:
            findings.no("Identity", str(error), "Follow the message above.", here=not self._config.role_arn)
            return False
        except BotoCoreError as error:
            why = f"there are no AWS credentials here ({type(error).__name__})"
            findings.no("Identity", why, "Log in to AWS.", here=True)
            return False
        findings.yes("Bucket", f"{bucket!r} is there")
        tell_clock(told.get("HTTPHeaders", {}).get("date"), findings, "S3's", _SKEW)
        return True

    def _tell_refusal(self, told: Mapping[str, Any]) -> bool:
        findings, bucket = self._findings, self._config.bucket
        status, region = told.get("HTTPStatusCode"), told.get("HTTPHeaders", {}).get("x-amz-bucket-region")
        if status == 404:
            findings.no("Bucket", f"there is no bucket {bucket!r}", "Tell us the bucket's name, or create it.")
            return False
        own = self._access.client.meta.region_name
        if region and region != own:
            findings.no("Bucket", f"{bucket!r} is in {region}, and {own} is asked", "Correct the region.", here=True)
            findings.fit("region", region, "there the bucket is")
            return False
        findings.unknown("Bucket", f"{self.api.who} may not look at the bucket itself; deliveries do without it")
        return True
