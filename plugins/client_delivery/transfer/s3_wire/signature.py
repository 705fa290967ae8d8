"""AWS Signature Version 4 for S3, by the AWS Common Runtime: the library with which botocore signs, too, where it can.

botocore's own Python needs 55 µs of CPU for each request, of which a small file has one or two; this, 13 µs. What is
signed is the same, header by header (``tests/unit/transfer/test_s3_signature.py`` compares).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from awscrt.auth import (
    AwsCredentialsProvider,
    AwsSignatureType,
    AwsSignedBodyHeaderType,
    AwsSigningAlgorithm,
    AwsSigningConfig,
    aws_sign_request,
)
from awscrt.http import HttpHeaders, HttpRequest

EMPTY: Final = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""SHA-256 of no body."""
TRAILED: Final = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
"""For a body whose checksum follows it (``aws-chunked``): it need neither be read twice nor be held in memory.
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html"""


class Signer:
    """Signs requests with botocore's credentials, which renew themselves.

    :param credentials: botocore's.
    """

    def __init__(self, credentials: Any) -> None:
        self._credentials = credentials
        self._provider: tuple[tuple[str, str, str | None], AwsCredentialsProvider] | None = None

    def headers(
        self, method: str, host: str, target: str, headers: Mapping[str, str], *, region: str, payload: str
    ) -> dict[str, str]:
        """The request's headers and those of the signature; without ``Host``, which every request has.

        :param target: path and query, escaped as they are sent: S3's are neither escaped again nor made shorter.
        :param payload: :data:`EMPTY` or :data:`TRAILED`.

        Raises botocore's error where the credentials cannot be renewed.
        """
        signing = AwsSigningConfig(
            algorithm=AwsSigningAlgorithm.V4,
            signature_type=AwsSignatureType.HTTP_REQUEST_HEADERS,
            credentials_provider=self._current(),
            region=region,
            service="s3",
            use_double_uri_encode=False,
            should_normalize_uri_path=False,
            signed_body_value=payload,
            signed_body_header_type=AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256,
        )
        request = HttpRequest(method, target, HttpHeaders([("Host", host), *headers.items()]))
        signed = aws_sign_request(request, signing).result().headers
        return {name: value for name, value in signed if name != "Host"}

    def _current(self) -> AwsCredentialsProvider:
        frozen = self._credentials.get_frozen_credentials()
        held = (frozen.access_key, frozen.secret_key, frozen.token)
        provider = self._provider  # by one name: another thread may put a newer one there
        if provider is None or provider[0] != held:
            self._provider = provider = (held, AwsCredentialsProvider.new_static(*held))
        return provider[1]
