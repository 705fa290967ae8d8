"""The pick-up's section of a client's configuration: where files wait, and which of them are taken."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator
from pydantic_core.core_schema import ValidationInfo

from client_delivery.config.destinations import BUCKET_REGION, Section, refuse_external_id_alone
from client_delivery.config.names import ExternalId, Region, RoleArn, S3Bucket
from client_delivery.config.patterns import Pattern, matcher, refuse_repeated_prefix
from client_delivery.config.places import PickupPrefix
from client_delivery.config.refusal import refusal


class PickupSection(Section, title="Pick-up"):
    """Where the client's files wait to be delivered."""

    bucket: S3Bucket = Field(
        title="Bucket", description="The S3 bucket in which the files arrive.", examples=["example-pickup"]
    )
    prefix: PickupPrefix = Field(
        title="Prefix",
        description="The path in the bucket where files arrive; must end with '/'. No other configuration may use it:"
        " delivered files are deleted from it.",
        examples=["acme/"],
    )
    region: Region | None = BUCKET_REGION
    role_arn: RoleArn | None = Field(
        default=None,
        title="Role",
        description="The IAM role to assume for reading and deleting. Defaults to the environment's own role.",
        examples=["arn:aws:iam::111122223333:role/acme-pickup"],
    )
    external_id: ExternalId | None = Field(
        default=None,
        title="External id",
        description="The external id that the role's owner asks for. It is not a secret.",
        examples=["acme-pickup-7f3a"],
    )
    include: Annotated[tuple[Pattern, ...], Field(strict=False)] = Field(
        default=("*",),
        min_length=1,
        max_length=50,
        title="Include",
        description="Takes only files whose name below the prefix matches one of these patterns. '*' stands for any"
        " characters ('/' too), '?' for one, '[0-9]' for one of a range. Patterns are case-sensitive.",
        examples=[["*.csv", "*.csv.gz"]],
    )
    exclude: Annotated[tuple[Pattern, ...], Field(strict=False)] = Field(
        default=(),
        max_length=50,
        title="Exclude",
        description="Leaves files in place whose name below the prefix matches one of these patterns.",
        examples=[["*.tmp", "archive/*"]],
    )

    _external_id = field_validator("external_id")(refuse_external_id_alone)

    @field_validator("include", "exclude")
    @classmethod
    def _check_patterns(cls, patterns: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if "prefix" in info.data:
            refuse_repeated_prefix(patterns, info.data["prefix"])
        return patterns

    @field_validator("exclude")
    @classmethod
    def _leave_something(cls, patterns: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if "*" in patterns:
            raise refusal(
                "patterns that leave something to deliver",
                "'*' excludes every file. Write `paused: true` to stop the delivery.",
                found="'*'",
                at=(patterns.index("*"),),
            )
        if patterns and set(info.data.get("include", ["*"])) <= set(patterns):
            raise refusal(
                "patterns that leave something to deliver",
                "Everything that `include` takes is excluded.",
                found="every pattern of `include`",
            )
        return patterns

    def matches(self, name: str) -> bool:
        """Whether the file called ``name`` (the key below the prefix) is to be taken."""
        return bool(matcher(self.include).match(name)) and not matcher(self.exclude).match(name)
