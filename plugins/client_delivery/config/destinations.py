"""The three ways of delivery (R1.1-R1.3): what a configuration says about each (R2.2-R2.4)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core.core_schema import ValidationInfo

from client_delivery.config.host_keys import HostKey
from client_delivery.config.names import (
    ConnectionId,
    ExternalId,
    FileMode,
    GcsBucket,
    GcsKmsKey,
    GoogleProject,
    Host,
    Region,
    RoleArn,
    S3Bucket,
    S3KmsKey,
    TemporaryMark,
    Username,
)
from client_delivery.config.places import DestinationPrefix, Directory
from client_delivery.config.refusal import refusal
from client_delivery.config.sizes import ByteRate

_TYPE = "How the files are delivered: `gcs`, `sftp` or `s3`. The other fields of this section depend on it."
BUCKET_REGION: Any = Field(
    default=None,
    title="Region",
    description="The bucket's AWS region. Defaults to the environment's own.",
    examples=["us-east-1"],
)
_KEEP_METADATA = Field(
    default=True,
    title="Object metadata",
    description="Whether files keep their metadata from the pick-up: Content-Type, Content-Encoding,"
    " Content-Disposition, Content-Language, Cache-Control and user metadata. With `false` only the content arrives."
    " Encoded content, such as `gzip`, is never decoded. Tags are not passed on.",
    examples=[False],
)
_MAX_BYTES_PER_SECOND = Field(
    default=None,
    title="Bandwidth limit",
    description="How many bytes per second a run may send to this destination, as a number or with a unit. The limit "
    "applies to all files of the run together, so they go in one batch, and in a container if one of them "
    "is big. Two configurations with the same destination have separate limits. Without it there is no "
    "limit.",
    examples=["20 MiB"],
)


class Section(BaseModel):
    """A part of a configuration: exact types, no unknown fields, immutable, and values never in a traceback."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


def refuse_external_id_alone(external_id: str | None, info: ValidationInfo) -> str | None:
    """Refuse an external id without the role that it is for."""
    if external_id is not None and "role_arn" in info.data and info.data["role_arn"] is None:
        raise refusal("`role_arn` beside it", "An external id is used only when a role is assumed.")
    return external_id


def require_staging_directory(destination: SftpSection) -> SftpSection:
    """Refuse a way to appear without the directory that it needs, and the other way round."""
    if destination.appear == "staging" and destination.staging_directory is None:
        raise refusal("`staging_directory` beside it", "Files are written there before they are moved.", at=("appear",))
    if destination.appear != "staging" and destination.staging_directory is not None:
        raise refusal("`appear: staging` with it", "Nothing is written there otherwise.", at=("staging_directory",))
    if destination.staging_directory is not None and destination.staging_directory == destination.directory:
        raise refusal("a directory other than `directory`", "Or leave it out.", at=("staging_directory",))
    return destination


class GcsSection(Section, title="Destination: Google Cloud Storage"):
    """A bucket in Google Cloud Storage."""

    type: Literal["gcs"] = Field(title="Type", description=_TYPE, examples=["gcs"])
    bucket: GcsBucket = Field(
        title="Bucket", description="The bucket that receives the files.", examples=["example-gcs-landing"]
    )
    prefix: DestinationPrefix = Field(
        default="",
        title="Prefix",
        description="Prepended to every file name; must end with '/'. Leave it empty for the top of the bucket.",
        examples=["incoming/acme/"],
    )
    connection_id: ConnectionId = Field(
        title="Connection id",
        description="The Airflow connection with the service-account key or workload-identity-federation"
        " configuration. It is kept in Secrets Manager as `airflow/connections/<connection id>`.",
        examples=["acme_gcs"],
    )
    project: GoogleProject | None = Field(
        default=None,
        title="Project",
        description="The Google Cloud project that is billed for the requests. Defaults to the bucket's own.",
        examples=["acme-data-platform"],
    )
    kms_key: GcsKmsKey | None = Field(
        default=None,
        title="Customer-managed key",
        description="The full name of the Cloud KMS key that encrypts the files. Defaults to the bucket's key.",
        examples=["projects/acme-data-platform/locations/us/keyRings/landing/cryptoKeys/files"],
    )
    storage_class: Literal["STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"] | None = Field(
        default=None,
        title="Storage class",
        description="The storage class of the files. Defaults to the bucket's.",
        examples=["NEARLINE"],
    )
    publish: Literal["complete", "compose"] = Field(
        default="complete",
        title="Publication of large files",
        description="How a file above 4 MiB becomes visible. `complete`: its upload is completed. Google cannot "
        "make that step conditional, so an object that somebody else writes under the same name at that "
        "very moment is overwritten. `compose`: the file is assembled under a temporary name "
        "(`<prefix>.delivery-….part`) and composed to its own name only if nothing else has been "
        "written there. The recipient's notifications then show both objects and the removal of the "
        "temporary one, and the account needs `storage.objects.get` and `.delete`.",
        examples=["compose"],
    )
    keep_metadata: bool = _KEEP_METADATA
    max_bytes_per_second: ByteRate | None = _MAX_BYTES_PER_SECOND

    @property
    def uri(self) -> str:
        """``gs://bucket/prefix``."""
        return f"gs://{self.bucket}/{self.prefix}"


class SftpSection(Section, title="Destination: SFTP"):
    """A directory on a client's SFTP server."""

    type: Literal["sftp"] = Field(title="Type", description=_TYPE, examples=["sftp"])
    host: Host = Field(title="Host", description="The server's name or IP address.", examples=["sftp.example.org"])
    port: int = Field(default=22, ge=1, le=65535, title="Port", description="The server's port.", examples=[2222])
    username: Username = Field(title="User name", description="The account on the server.", examples=["acme"])
    directory: Directory = Field(
        title="Directory",
        description="The directory on the server. It is absolute if it starts with '/', otherwise relative to the login"
        " directory; '.' is the login directory itself.",
        examples=["/incoming"],
    )
    connection_id: ConnectionId = Field(
        title="Connection id",
        description="The Airflow connection with the password, or the private key and its passphrase. It is kept in"
        " Secrets Manager as `airflow/connections/<connection id>`.",
        examples=["acme_sftp"],
    )
    host_keys: Annotated[tuple[HostKey, ...], Field(strict=False)] = Field(
        min_length=1,
        max_length=20,
        title="Host keys",
        description="The server's public keys, as `<type> <base64>`. A server with any other key is refused, so"
        " files reach only the client's own server. `make scan-host-key HOST=…` lists them; compare the"
        " fingerprints with the server's owner by telephone. List both keys while a server changes its key.",
        examples=[["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA9R3lUxvyx+XrErJyTvyowMYNkFKKQMAKjiCXjSlqAH"]],
    )
    file_mode: FileMode | None = Field(
        default=None,
        title="File mode",
        description="The permissions of a delivered file, as octal digits in quotes. By default the server decides.",
        examples=["0640"],
    )
    connections: int = Field(
        default=4,
        ge=1,
        le=16,
        title="Connections",
        description="How many connections may be open at once. More connections are faster over long distances; write 1"
        " for a server that allows only one.",
        examples=[1],
    )
    parallel_writes: bool | None = Field(
        default=None,
        title="Parallel writes",
        description="Whether several connections write one large file together. By default they do so only on servers"
        " known to support it (OpenSSH). With `true` the file is read back and compared; if the server mixed it up,"
        " one connection sends it again. Omit this for AWS Transfer Family over S3 and other object stores, which do"
        " not support it.",
        examples=[True],
    )
    appear: Literal["rename", "staging", "direct"] = Field(
        default="rename",
        title="How files appear",
        description="How a file becomes visible under its name. `rename`: the file is written under a temporary "
        "name in the same directory, verified, and renamed. `staging`: the same, but the file is "
        "written in `staging_directory` and moved from there. `direct`: the file is written under its "
        "own name, for servers that allow no rename or that take every file as soon as it is closed. "
        "The recipient may then see an incomplete file, an older file of the same name is emptied "
        "first, and an interrupted file starts over.",
        examples=["staging"],
    )
    staging_directory: Directory | None = Field(
        default=None,
        title="Staging directory",
        description="The directory where `appear: staging` writes files. It must be on the same file system as"
        " `directory`.",
        examples=["/staging"],
    )
    temporary_prefix: TemporaryMark | None = Field(
        default=None,
        title="Temporary prefix",
        description="The beginning of temporary names. If neither this nor `temporary_suffix` is given, temporary names"
        " begin with `.` and end with `.part`, as far as the server allows.",
        examples=["tmp-"],
    )
    temporary_suffix: TemporaryMark | None = Field(
        default=None,
        title="Temporary suffix",
        description="The end of temporary names. Leave it empty to keep the file's own ending.",
        examples=[".tmp"],
    )
    allow_weak_algorithms: bool = Field(
        default=False,
        title="Allow weak algorithms",
        description="Allows ciphers, key exchanges, checksums (hmac-sha1) and signatures (ssh-rsa) that are no longer"
        " secure, for an old server that offers no others.",
        examples=[True],
    )
    verify: Literal["size", "read_back"] = Field(
        default="size",
        title="Verification",
        description="How a delivered file is compared with what was read from S3: `size` compares the number of bytes;"
        " `read_back` reads the whole file again and compares checksums, which takes about twice as long.",
        examples=["read_back"],
    )
    max_bytes_per_second: ByteRate | None = _MAX_BYTES_PER_SECOND

    _staging = model_validator(mode="after")(require_staging_directory)

    @property
    def uri(self) -> str:
        """``sftp://host:port/directory``; ``/~/`` stands for the login directory."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port != 22 else ""
        path = self.directory if self.directory.startswith("/") else f"/~/{self.directory.removeprefix('.')}"
        return f"sftp://{host}{port}{path}"


class S3Section(Section, title="Destination: S3"):
    """Another S3 location, in this account or, through a role, in another one."""

    type: Literal["s3"] = Field(title="Type", description=_TYPE, examples=["s3"])
    bucket: S3Bucket = Field(
        title="Bucket", description="The bucket that receives the files.", examples=["example-partner-landing"]
    )
    prefix: DestinationPrefix = Field(
        default="",
        title="Prefix",
        description="Prepended to every file name; must end with '/'. Leave it empty for the top of the bucket.",
        examples=["from-us/acme/"],
    )
    region: Region | None = BUCKET_REGION
    role_arn: RoleArn | None = Field(
        default=None,
        title="Role",
        description="The IAM role to assume for writing, usually in the recipient's account. Defaults to the "
        "environment's own role.",
        examples=["arn:aws:iam::111122223333:role/partner-landing-writer"],
    )
    external_id: ExternalId | None = Field(
        default=None,
        title="External id",
        description="The external id that the role's owner asks for. It is not a secret.",
        examples=["acme-landing-7f3a"],
    )
    kms_key: S3KmsKey | None = Field(
        default=None,
        title="KMS key",
        description="The AWS KMS key that encrypts the files: its ARN (needed for a key in another account), id or "
        "alias. Defaults to the bucket's key.",
        examples=["arn:aws:kms:us-east-1:111122223333:alias/landing"],
    )
    storage_class: (
        Literal[
            "STANDARD",
            "STANDARD_IA",
            "ONEZONE_IA",
            "INTELLIGENT_TIERING",
            "GLACIER_IR",
            "GLACIER",
            "DEEP_ARCHIVE",
            "REDUCED_REDUNDANCY",
        ]
        | None
    ) = Field(
        default=None,
        title="Storage class",
        description="The storage class of the files. Defaults to STANDARD.",
        examples=["STANDARD_IA"],
    )
    acl: Literal["private", "bucket-owner-read", "bucket-owner-full-control"] | None = Field(
        default=None,
        title="ACL",
        description="The canned ACL of the files, for a bucket in another account that still uses ACLs. Public ACLs "
        "are not accepted.",
        examples=["bucket-owner-full-control"],
    )
    keep_metadata: bool = _KEEP_METADATA
    max_bytes_per_second: ByteRate | None = _MAX_BYTES_PER_SECOND

    _external_id = field_validator("external_id")(refuse_external_id_alone)

    @property
    def uri(self) -> str:
        """``s3://bucket/prefix``."""
        return f"s3://{self.bucket}/{self.prefix}"


DestinationSection = Annotated[GcsSection | SftpSection | S3Section, Field(discriminator="type")]
"""What `type` says."""
