"""An S3 client that has objects, and refuses what a test says, in the words of botocore."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass, field
from io import BytesIO
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError
from botocore.response import StreamingBody

from client_delivery.pickup.pickup import Pickup
from tests.support.factories import MODIFIED


def config(**changes: Any) -> Any:
    """A client whose pick-up is the bucket ``pickup``, below ``in/``."""
    pickup = SimpleNamespace(
        bucket="pickup", prefix="in/", role_arn=None, matches=lambda name: not name.endswith(".tmp")
    )
    known = {"name": "acme", "pickup": pickup, "trigger_on_done_file": True, "done_file_key": "in/acme.done"}
    return SimpleNamespace(**known | {"guards": None} | changes)


@dataclass
class S3:
    """The part of a boto3 client that a pick-up uses."""

    objects: dict[tuple[str, str | None], dict[str, Any]] = field(default_factory=dict)
    """By key and version: what HeadObject says of it, and its ``Body``."""
    refusals: dict[tuple[str, str], list[tuple[int, str] | None]] = field(default_factory=dict)
    """By verb and key: the status and code of one call after the other; None lets it pass, and the last one stays."""
    calls: list[tuple[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, key: str, body: bytes = b"rows", *, version: str | None = None, **head: Any) -> None:
        """An object, or one version of it."""
        said = {"ETag": '"etag-a"', "ContentLength": len(body), "LastModified": MODIFIED, **head}
        self.objects[key, version] = said | ({"VersionId": version} if version else {}) | {"Body": body}

    def refuse(self, verb: str, key: str, *answers: tuple[int, str] | None) -> None:
        """Refuse the calls of this verb about this key, one after the other."""
        self.refusals[verb, key] = list(answers)

    @property
    def counted(self) -> dict[str, int]:
        """How often each verb was called."""
        found: dict[str, int] = defaultdict(int)
        for verb, _ in self.calls:
            found[verb] += 1
        return found

    def head_object(self, *, Bucket: str, Key: str, VersionId: str | None = None, **_: Any) -> dict[str, Any]:
        self._call("HeadObject", Key)
        if (Key, VersionId) not in self.objects:
            raise refused("HeadObject", 404, "404")
        return {name: value for name, value in self.objects[Key, VersionId].items() if name != "Body"}

    def get_object(self, *, Bucket: str, Key: str, VersionId: str | None = None, **_: Any) -> dict[str, Any]:
        self._call("GetObject", Key)
        if (Key, VersionId) not in self.objects:
            raise refused("GetObject", 404, "NoSuchKey")
        body = self.objects[Key, VersionId]["Body"]
        return {"Body": StreamingBody(BytesIO(body), len(body))}

    def list_object_versions(self, *, Bucket: str, Prefix: str, **_: Any) -> dict[str, Any]:
        self._call("ListObjectVersions", Prefix)
        rows = [(key, head) for (key, version), head in self.objects.items() if version and key.startswith(Prefix)]
        return {"Versions": [{"Key": key, "VersionId": head["VersionId"], "ETag": head["ETag"]} for key, head in rows]}

    def delete_object(self, *, Bucket: str, Key: str, **_: Any) -> dict[str, Any]:
        self._call("DeleteObject", Key)
        self.objects.pop((Key, None), None)
        return {"DeleteMarker": True, "VersionId": "marker"}

    def list_objects_v2(self, **_: Any) -> dict[str, Any]:
        return {"Contents": []}

    def get_paginator(self, name: str) -> Any:
        assert name == "list_objects_v2"
        rows = [(key, head) for (key, version), head in sorted(self.objects.items()) if version is None]
        page = [
            {"Key": key, "ETag": head["ETag"], "Size": head["ContentLength"], "LastModified": head["LastModified"]}
            for key, head in rows
        ]
        return SimpleNamespace(paginate=lambda **_: iter([{"Contents": page}]))

    def _call(self, verb: str, key: str) -> None:
        with self.lock:
            self.calls.append((verb, key))
            waiting = self.refusals.get((verb, key), [])
            answer = waiting.pop(0) if len(waiting) > 1 else next(iter(waiting), None)
        if answer is not None:
            raise refused(verb, *answer)


def refused(verb: str, status: int, code: str) -> ClientError:
    """As botocore raises it: the response to a HEAD has no body, so its code is the number."""
    code = str(status) if verb == "HeadObject" else code
    response: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, verb)


def pickup_over(s3: S3, **changes: Any) -> Pickup:
    """The pick-up of such a client."""
    client: Any = s3
    return Pickup(config(**changes), client)
