"""The parts of a partner's page that each kind of destination has for itself: accounts, rights, how files appear."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from client_delivery.probe.sheet_parts import FILL_IN, Ours, Section, Table
from client_delivery.transfer.sftp.handshake import fingerprint, md5_fingerprint
from client_delivery.transfer.sftp.temporary import TemporaryNames

if TYPE_CHECKING:
    from client_delivery.config.model import GcsSection, S3Section, SftpSection

_REGION_UNKNOWN = "we use our own region: tell us if the bucket is in another"
_RESUME = "to resume an interrupted large file, and to abort an upload that we give up"
_KEY = "to write with that key, in parts as well"


def _addresses(ours: Ours, what: str) -> Section:
    shown = ", ".join(ours.addresses) or FILL_IN
    return Section("Our addresses", [f"Deliveries come from one of these addresses: {shown}. {what}"])


def for_sftp(config: SftpSection, ours: Ours) -> Iterator[Section]:
    """An account on a server of theirs."""
    yield _addresses(ours, f"Please allow all of them to reach {config.host}, port {config.port} (TCP).")
    if ours.by_password:
        login = "with the password that you gave us"
    else:
        login = "with our public key below" if ours.public_key else f"with a key or a password: {FILL_IN}"
    yield Section(
        "Account",
        [
            Table(
                [
                    ("What", "How we have it"),
                    ("server", f"{config.host}, port {config.port}"),
                    ("user", config.username),
                    ("directory", _directory(config)),
                    ("login", login),
                    ("connections at once", str(config.connections)),
                ]
            ),
            *([f"    {ours.public_key}"] if ours.public_key else []),
            *(
                [f"Its fingerprint is {fingerprint(ours.public_key)} ({md5_fingerprint(ours.public_key)})."]
                if ours.public_key
                else []
            ),
            "We accept only a server that presents one of these host keys. Please compare them with yours by "
            "telephone:",
            *(f"    {key.split()[0]}  {fingerprint(key)}" for key in config.host_keys),
            _algorithms(config),
        ],
    )
    yield Section(f"What {config.username} must be allowed to do in {_directory(config)}", [Table(_rights(config))])
    yield Section("How files appear", list(_appearance(config)))
    yield Section(
        "How to verify a file",
        [
            "We compare "
            + (
                "every byte: we read each file back after we have written it."
                if config.verify == "read_back"
                else "the number of bytes after a file was written, and before it gets its name."
            )
            + " We can tell you the size, and the CRC32C and CRC64NVME checksums, of every file that we delivered.",
        ],
    )


def _directory(config: SftpSection) -> str:
    if config.directory == ".":
        return "the login directory"
    return config.directory if config.directory.startswith("/") else f"{config.directory} below the login directory"


def _algorithms(config: SftpSection) -> str:
    if config.allow_weak_algorithms:
        return (
            "For your server we accept algorithms that are no longer secure (ssh-rsa, hmac-sha1, CBC ciphers). Please "
            "tell us when they can be switched off."
        )
    return (
        "We use AES-GCM, ChaCha20-Poly1305 or AES-CTR, SHA-2 checksums, and Curve25519, NIST curves or Diffie-Hellman "
        "groups of 2048 bits and more. Older algorithms are refused."
    )


def _rights(config: SftpSection) -> list[tuple[str, str, str]]:
    rows = [
        ("Right", "Needed", "Why"),
        ("create and write files", "yes", "to deliver"),
    ]
    if config.appear == "direct":
        rows.append(("rename files", "no", "files are written under their own names"))
    else:
        rows.append(("rename files", "yes", "a file gets its name when it is complete and verified"))
    if config.verify == "read_back":
        rows.append(("read files", "yes", "every file is read back and compared"))
    else:
        rows.append(("read files", "better", "we compare an interrupted large file before we resume it"))
    rows += [
        ("look at files (stat)", "better", "the size tells us that a file is complete"),
        ("list the directory", "better", "to find what an interrupted attempt left"),
        ("remove files", "better", "to remove our own temporary files; never yours"),
        ("create folders", "only if names have folders", "a file 'claims/march.csv' needs the folder 'claims'"),
    ]
    if config.file_mode is not None:
        rows.append(("set permissions", "yes", f"files get the mode {config.file_mode}"))
    return rows


def _appearance(config: SftpSection) -> Iterator[str]:
    if config.appear == "direct":
        yield (
            "A file is written under its own name, and grows there. Please take it only when it has stopped growing: "
            "until then it is not complete."
        )
        return
    form = TemporaryNames(config).forms[0]
    example = (
        f"{form.prefix}claims.csv.5d41402abc4b.1{form.suffix}"
        if form.suffix
        else (f"{form.prefix}5d41402abc4b.1.claims.csv")
    )
    where = "in the same directory"
    if config.appear == "staging" and config.staging_directory:
        where = f"in {config.staging_directory}, which must be on the same file system,"
    yield (
        f"A file is first written {where} under a temporary name, verified, and then renamed: under its own name it "
        "is always complete. Please do not take, move, quarantine or delete temporary files. They look like this:"
    )
    yield f"    {example}"
    marks = [f"begin with '{form.prefix}'" if form.prefix else "", f"end with '{form.suffix}'" if form.suffix else ""]
    yield f"Leave alone all names that {' and '.join(filter(None, marks)) or 'look like this'}."


def for_gcs(config: GcsSection, ours: Ours) -> Iterator[Section]:
    """A bucket of theirs at Google."""
    yield _addresses(ours, "You need them only if an organization policy or a service perimeter restricts addresses.")
    rights = [
        ("Permission", "Needed", "Why"),
        ("storage.objects.create", "yes", "to deliver"),
        ("storage.multipartUploads.create", "yes", "for files above 4 MiB"),
        ("storage.multipartUploads.abort, .listParts, .list", "better", "to resume or abort an upload"),
        ("storage.objects.get, .delete", "better", "to replace an older file of the same name"),
    ]
    if config.publish == "compose":
        rights[4] = ("storage.objects.get, .delete", "yes", "large files are put together under a temporary name")
    yield Section(
        "Account and bucket",
        [
            Table(
                [
                    ("What", "How we have it"),
                    ("bucket", config.bucket),
                    ("prefix", config.prefix or "none: the top of the bucket"),
                    ("our service account", ours.account or FILL_IN),
                    ("billed project", config.project or "the bucket's own"),
                    ("customer-managed key", config.kms_key or "the bucket's own"),
                    ("storage class", config.storage_class or "the bucket's own"),
                ]
            ),
            "The role roles/storage.objectUser on the bucket grants all of these:",
            Table(rights),
        ],
    )
    temporary = (
        f" Large files are put together under '{config.prefix}.delivery-….part' first: please ignore these."
        if config.publish == "compose"
        else ""
    )
    yield Section("How files appear", [f"An object appears whole, or not at all.{temporary}"])
    yield Section("How to verify a file", ["Google compares the CRC32C checksum of every object with ours."])


def for_s3(config: S3Section, ours: Ours) -> Iterator[Section]:
    """A bucket of theirs at Amazon."""
    roles = ", ".join(ours.roles) or FILL_IN
    objects, bucket = f"arn:aws:s3:::{config.bucket}/{config.prefix}*", f"arn:aws:s3:::{config.bucket}"
    if config.role_arn:
        condition = f", with the external id {config.external_id}" if config.external_id else ""
        trust = (
            f"We assume your role {config.role_arn}. Its trust policy has to allow sts:AssumeRole to our roles"
            f"{condition}: {roles}. Its own policy has to grant the permissions below."
        )
    else:
        trust = f"We use our own roles: {roles}. Your bucket's policy has to grant them the permissions below."
    yield Section(
        "Role and bucket",
        [
            Table(
                [
                    ("What", "How we have it"),
                    ("bucket", config.bucket),
                    ("prefix", config.prefix or "none: the top of the bucket"),
                    ("region of the bucket", config.region or f"not named; {_REGION_UNKNOWN}"),
                    ("encryption", f"by the KMS key {config.kms_key}" if config.kms_key else "as the bucket has it"),
                    ("ACL", config.acl or "none: the owner of the bucket owns the objects"),
                ]
            ),
            trust,
            Table(
                [
                    ("Permission", "On", "Needed", "Why"),
                    ("s3:PutObject", objects, "yes", "to deliver"),
                    ("s3:AbortMultipartUpload, s3:ListMultipartUploadParts", objects, "better", _RESUME),
                    ("s3:ListBucketMultipartUploads", bucket, "better", "to find an upload whose sender died early"),
                    ("s3:GetObject", objects, "better", "to replace an older file of the same name"),
                    ("s3:ListBucket", bucket, "better", "to tell whether there is an older file"),
                    ("s3:DeleteObject", objects, "for the test", "to remove the file of the first test"),
                    *([("kms:GenerateDataKey, kms:Decrypt", config.kms_key, "yes", _KEY)] if config.kms_key else []),
                    *([("s3:PutObjectAcl", objects, "yes", f"for the ACL {config.acl}")] if config.acl else []),
                ]
            ),
            "If your bucket is encrypted with your own KMS key, the key's policy has to allow the same roles "
            "kms:GenerateDataKey and kms:Decrypt.",
        ],
    )
    yield Section("How files appear", ["An object appears whole, or not at all."])
    yield Section("How to verify a file", ["S3 compares the CRC32C or CRC64NVME checksum of every object with ours."])
