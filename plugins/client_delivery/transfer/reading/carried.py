"""What an object carries besides its bytes, from the pick-up to another object store.

S3, User Guide, *Working with object metadata*; Google Cloud Storage, *Object metadata* and *HTTP headers for XML
requests*: both know the same headers, and names of the uploader's own after ``x-amz-meta-`` and ``x-goog-meta-``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_HEADERS = ("content-type", "content-encoding", "content-disposition", "content-language", "cache-control")
_UNSAID = "binary/octet-stream"
"""S3's word for a type that nobody gave."""
_OWN = "x-amz-meta-"


@dataclass(frozen=True, slots=True)
class Carried:
    """Headers and user metadata, as they came: ``Content-Encoding`` describes bytes that nobody here decodes."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """By name in small letters; only what the uploader said."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """User metadata, without the services' prefix."""

    @classmethod
    def of(cls, response: Mapping[str, str]) -> Carried:
        """By the headers of S3's response, whose names are in small letters.

        Left out is what cannot be sent on as a header; S3 itself encodes what is not ASCII (RFC 2047).
        """
        sane = {name: value for name, value in response.items() if value.isascii() and value.isprintable()}
        said = {name: sane[name] for name in _HEADERS if sane.get(name)}
        if said.get("content-type") == _UNSAID:
            del said["content-type"]
        # How the upload was framed, which some uploaders make part of the object.
        encodings = [one.strip() for one in said.pop("content-encoding", "").split(",")]
        if kept := ", ".join(one for one in encodings if one and one.lower() != "aws-chunked"):
            said["content-encoding"] = kept
        return cls(said, {name.removeprefix(_OWN): sane[name] for name in sane if name.startswith(_OWN)})

    def as_headers(self, prefix: str) -> dict[str, str]:
        """For a request, with the service's ``prefix`` before the names of user metadata."""
        return {**self.headers, **{prefix + name: value for name, value in self.metadata.items()}}


NOTHING = Carried()
