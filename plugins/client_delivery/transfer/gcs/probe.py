"""Tries a bucket in Google Cloud Storage before the first file: who we are, what we may do, and deliveries."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from client_delivery.transfer.contract import DestinationUnavailable, TransferError
from client_delivery.transfer.finding import Findings
from client_delivery.transfer.gcs.access import GcsAccess
from client_delivery.transfer.gcs.api import GcsApi
from client_delivery.transfer.gcs.destination import GcsDestination
from client_delivery.transfer.http.pool import error_code
from client_delivery.transfer.objects.probe import ObjectProbe, Rights
from client_delivery.transfer.objects.refusals import quoted
from client_delivery.transfer.reach import reach_service, tell_clock
from client_delivery.transfer.reading.held import HeldFiles

if TYPE_CHECKING:
    from client_delivery.config.model import GcsSection
    from client_delivery.transfer.secret import Secret

RIGHTS: Final = {
    "storage.objects.create": "every file",
    "storage.multipartUploads.create": "files above 4 MiB",
    "storage.multipartUploads.abort": "taking back an upload that is given up",
    "storage.multipartUploads.listParts": "resuming an interrupted upload",
    "storage.multipartUploads.list": "finding leftovers of an attempt that died early",
    "storage.objects.get": "replacing a file of the same name",
    "storage.objects.delete": "replacing a file of the same name",
}
"""What each is for; the first two are what ``roles/storage.objectCreator`` is about."""
_NEEDED: Final = ("storage.objects.create", "storage.multipartUploads.create")
_SKEW = 120
"""Seconds; Google refuses tokens at some minutes."""


_ASKS = Rights(
    write="Grant the account storage.objects.create on the bucket (roles/storage.objectUser has all that we need).",
    parts="Grant storage.multipartUploads.create, for files above 4 MiB (roles/storage.objectUser).",
    look="Grant storage.objects.get, if files of the same name are to be replaced (roles/storage.objectUser).",
    replace="Grant storage.objects.get and storage.objects.delete, if files of the same name are to be replaced.",
    remove="Grant storage.objects.delete.",
    abort="Grant storage.multipartUploads.abort, or have a lifecycle rule remove incomplete uploads after some days.",
    key="Grant Google's storage service agent, whom the message names, roles/cloudkms.cryptoKeyEncrypterDecrypter on "
    "the key, and have the key enabled in the bucket's location.",
)


class GcsProbe:
    """One test of one bucket. The parameters are :class:`~client_delivery.transfer.sftp.probe.SftpProbe`'s."""

    asks = _ASKS

    def __init__(
        self,
        config: GcsSection,
        secret: Secret,
        findings: Findings,
        *,
        endpoint: str,
        name: str,
        leave: bool = False,
    ) -> None:
        self._config = config
        self._secret = secret
        self._findings = findings
        self._endpoint = endpoint
        self._name = name
        self._leave = leave
        self._granted: set[str] | None = None

    def run(self, *, write: bool) -> None:
        """Try it. With ``write`` false, nothing is written. Raises nothing that Google can cause."""
        findings = self._findings
        if not reach_service(self._endpoint, findings, "Reached"):
            return
        try:
            self._access = GcsAccess(self._config, self._secret, self._endpoint)
        except DestinationUnavailable as error:
            findings.no("Credential", str(error), "Give us the whole JSON file of the service account again.")
            return
        try:
            self.api = GcsApi(self._access)
            if (token_url := self._access.token_url) and not reach_service(token_url, findings, "Token service"):
                return
            if self._tell_rights():
                prefix = self._config.prefix
                ObjectProbe(self, findings, prefix=prefix, name=self._name, leave=self._leave).run(write=write)
        finally:
            self._access.close()

    # -- what the service is asked beyond deliveries -----------------------------------------------------------------

    def target(self, files: HeldFiles, *, small: int) -> GcsDestination:
        """A destination that delivers what is held."""
        return GcsDestination(self._config, self._secret, files, self._endpoint, small=small)

    def may_remove(self, key: str) -> bool | None:
        """As Google says of the account."""
        return None if self._granted is None else "storage.objects.delete" in self._granted

    def remove(self, key: str) -> str:
        """Why it is still there, or empty."""
        with self._access("DELETE", key, verb="remove", accept=(204, 404, 403)) as response:
            if response.status == 403:
                return quoted(*error_code(response))
        return ""

    def retention(self) -> str | None:
        """The bucket's policy, which only accounts with storage.buckets.get are told.

        https://cloud.google.com/storage/docs/json_api/v1/buckets: ``retentionPolicy.retentionPeriod`` in seconds.
        """
        try:
            with self._access.bucket("retentionPolicy,defaultEventBasedHold") as response:
                told = json.loads(response.read()) if response.status == 200 else None
        except (TransferError, ValueError):
            return None
        if not isinstance(told, dict):
            return None
        seconds = int(told.get("retentionPolicy", {}).get("retentionPeriod", 0))
        kept = [f"the bucket keeps every object for {_long(seconds)} (retention policy)"] if seconds else []
        if told.get("defaultEventBasedHold"):
            kept.append("the bucket puts every object under an event-based hold")
        return " and ".join(kept)

    def about(self, key: str) -> Iterator[tuple[str, str]]:
        """By which key it is encrypted (https://cloud.google.com/storage/docs/xml-api/reference-headers)."""
        try:
            with self._access("HEAD", key, verb="look at", accept=(200, 403, 404)) as response:
                name = response.headers.get("x-goog-encryption-kms-key-name") if response.status == 200 else None
        except TransferError:
            return
        if name:
            yield "Encryption", f"by the KMS key {name}"

    def _tell_rights(self) -> bool:
        """What the account may do, as Google says without anything being written; False if it is of no use to go on.

        No permission is needed to ask
        (https://cloud.google.com/storage/docs/json_api/v1/buckets/testIamPermissions).
        """
        findings = self._findings
        try:
            with self._access.granted(list(RIGHTS)) as response:
                if response.status == 401:
                    findings.no("Credential", "Google refuses the token", "Give us a valid credential.")
                    return False
                findings.yes("Credential", f"Google takes it: {self._access.account}")
                tell_clock(response.headers.get("date"), findings, "Google's", _SKEW)
                if response.status == 404:
                    findings.no(
                        "Bucket",
                        f"Google Cloud Storage has no bucket {self._config.bucket!r}, or does not show it",
                        "Tell us the bucket's name, or have it created.",
                    )
                    return False
                if response.status == 200:
                    self._granted = set(json.loads(response.read()).get("permissions", ()))
        except DestinationUnavailable as error:
            findings.no("Credential", str(error), "Give us a valid credential, as the message says.")
            return False
        except (TransferError, ValueError) as error:
            findings.unknown("Rights", f"Google does not tell: {error}")
            return True
        if self._granted is None:
            findings.unknown("Rights", "Google does not tell; they are tried")
            return True
        findings.yes("Bucket", f"{self._config.bucket!r} is there")
        self._tell_missing(self._granted)
        return True

    def _tell_missing(self, granted: set[str]) -> None:
        missing = [right for right in RIGHTS if right not in granted]
        if not missing:
            self._findings.yes("Rights", "everything that deliveries can use")
            return
        told = "; ".join(f"{right} ({RIGHTS[right]})" for right in missing)
        self._findings.no(
            "Rights",
            f"missing: {told}",
            "Grant the account roles/storage.objectUser on the bucket, or as many of these as are wanted.",
            needed=any(right in missing for right in _NEEDED),
        )


def _long(seconds: int) -> str:
    """A time in words; retention is in days or years."""
    days, rest = divmod(seconds, 86_400)
    return f"{seconds} s" if rest or not days else f"{days} day{'s' * (days > 1)}"
