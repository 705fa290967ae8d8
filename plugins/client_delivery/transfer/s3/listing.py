"""What is below a prefix in S3
(https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html: it needs s3:ListBucket)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

from client_delivery.transfer.contract import TransferError
from client_delivery.transfer.listing import Limit, ListingRefused, There
from client_delivery.transfer.s3.bucket import DENIED, S3Bucket

if TYPE_CHECKING:
    from client_delivery.config.model import S3Section
    from client_delivery.transfer.s3_wire.access import S3Access


class S3Listing:
    """One bucket, as one role sees it."""

    def __init__(self, config: S3Section, access: S3Access, prefix: str, limit: Limit) -> None:
        self._limit = limit
        self._bucket = S3Bucket(config, access)
        self._prefix = prefix

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def files(self, directory: str, begins: str) -> Iterator[There]:
        """The objects in one folder. Raises :class:`ListingRefused`, :class:`TransferError`."""
        from botocore.exceptions import BotoCoreError, ClientError

        bucket, folder = self._bucket, self._prefix + directory
        where = bucket.uri(folder)
        pages = bucket.s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket.config.bucket, Prefix=folder + begins, Delimiter="/"
        )
        try:
            for page in pages:
                self._limit.check(where)
                for one in page.get("Contents", ()):
                    yield There(one["Key"].removeprefix(folder), one["Size"], one["LastModified"])
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in DENIED:
                raise ListingRefused(
                    f"{bucket.who} may not list {where}: S3 refuses it ({code}). Allow s3:ListBucket on the bucket, "
                    "for this prefix."
                ) from error
            raise TransferError(f"S3 refuses to list {where} ({code}).") from error
        except BotoCoreError as error:
            raise TransferError(f"S3 cannot be reached to list {where}: {type(error).__name__}.") from error
