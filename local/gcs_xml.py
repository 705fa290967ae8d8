"""Google Cloud Storage's XML API: single objects and multipart uploads."""

from __future__ import annotations

from xml.etree import ElementTree
from xml.sax.saxutils import escape

from local.gcs_handler import GcsHandler
from local.http_stand_in import StandInError

_PAGE = 1000
_NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
"""Of the responses to multipart uploads: S3's, and Google's own client finds nothing in any other
(google-cloud-storage, ``_media/_upload.py``)."""


class XmlApi(GcsHandler):
    """The XML API's calls."""

    def _xml_put(self, bucket: str, name: str) -> None:
        self.server.store.require_bucket(bucket)
        blob = self._receive(bucket, name, {})
        condition = self._precondition(None, "x-goog-if-generation-match")
        self.server.store.publish(blob, condition, self._hash_header(), self.rule)
        self.effect_then(lambda: self.respond(200, headers=blob.headers()))

    def _look(self, bucket: str, name: str) -> None:
        blob = self.server.store.get(bucket, name)
        self.respond(200, headers={**blob.headers(), "x-goog-stored-content-length": str(blob.size)}, length=blob.size)

    def _compose(self, bucket: str, name: str) -> None:
        tree = ElementTree.fromstring(self.body())
        components = []
        for one in tree.iterfind("{*}Component"):
            component = self.server.store.get(bucket, one.findtext("{*}Name") or "")
            generation = one.findtext("{*}Generation")
            if generation is not None and int(generation) != component.generation:
                raise StandInError(404, "NoSuchKey", "No such object of that generation.")
            components.append(component)
        blob = self._new(bucket, name, {})
        blob.join(components)
        blob.storage_class = components[0].storage_class
        condition = self._precondition(None, "x-goog-if-generation-match")
        self.server.store.publish(blob, condition, self._hash_header(), self.rule)
        self.effect_then(lambda: self.xml("<ComposeResponse/>", headers=blob.headers()))

    def _refuse_preconditions(self) -> None:
        """https://cloud.google.com/storage/docs/multipart-uploads: preconditions are not supported in the requests."""
        if any(header.startswith("x-goog-if-") for header in self.headers):
            raise StandInError(400, "NotImplemented", "Preconditions are not supported in multipart uploads.")

    def _initiate(self, bucket: str, name: str) -> None:
        self.drain()
        self._refuse_preconditions()
        upload_id = self.server.store.initiate(self._new(bucket, name, {}))
        self.xml(
            f"<InitiateMultipartUploadResult {_NAMESPACE}><Bucket>{bucket}</Bucket><Key>{escape(name)}</Key>"
            f"<UploadId>{upload_id}</UploadId></InitiateMultipartUploadResult>"
        )

    def _part(self, bucket: str, name: str, upload_id: str) -> None:
        part = self._receive(bucket, name, {})
        expected = self._hash_header()
        etag = self.server.store.add_part(upload_id, int(self.query["partNumber"]), part, expected, self.rule)
        headers = {"ETag": f'"{etag}"', "x-goog-hash": f"crc32c={part.crc32c}"}
        self.effect_then(lambda: self.respond(200, headers=headers))

    def _parts(self, upload_id: str) -> None:
        after, most = int(self.query.get("part-number-marker", 0)), int(self.query.get("max-parts", 1000))
        parts = [(number, part) for number, part in self.server.store.parts(upload_id) if number > after]
        shown = parts[:most]
        rows = "".join(
            f'<Part><PartNumber>{number}</PartNumber><ETag>"{part.etag}"</ETag><Size>{part.size}</Size></Part>'
            for number, part in shown
        )
        more = len(parts) > len(shown)
        marker = f"<NextPartNumberMarker>{shown[-1][0]}</NextPartNumberMarker>" if more else ""
        self.xml(
            f"<ListPartsResult {_NAMESPACE}><IsTruncated>{str(more).lower()}</IsTruncated>{marker}{rows}"
            "</ListPartsResult>"
        )

    def _complete(self, bucket: str, name: str, upload_id: str) -> None:
        self._refuse_preconditions()
        tree = ElementTree.fromstring(self.body())
        listed = [
            (
                int(part.findtext("{*}PartNumber") or part.findtext("PartNumber") or 0),
                (part.findtext("{*}ETag") or part.findtext("ETag") or "").strip('"'),
            )
            for part in tree
        ]
        blob = self.server.store.complete(upload_id, listed, self.rule)
        body = (
            f"<CompleteMultipartUploadResult {_NAMESPACE}><Bucket>{bucket}</Bucket><Key>{escape(name)}</Key>"
            f'<ETag>"{blob.etag}"</ETag></CompleteMultipartUploadResult>'
        )
        headers = {**blob.headers(), "Content-Type": "application/xml"}
        self.effect_then(lambda: self.respond(200, body.encode(), headers))

    def _abort(self, upload_id: str) -> None:
        self.server.store.abort(upload_id)
        self.respond(204)

    def _uploads(self, bucket: str) -> None:
        """In the order of their names, a thousand at once: https://cloud.google.com/storage/docs/xml-api/get-bucket-uploads."""
        prefix, after = self.query.get("prefix", ""), self.query.get("key-marker", "")
        beyond = self.query.get("upload-id-marker", "")
        found = sorted(
            (blob.name, upload_id)
            for upload_id, blob in self.server.store.open_uploads(bucket)
            if blob.name.startswith(prefix)
            and (blob.name > after or (beyond and blob.name == after and upload_id > beyond))
        )
        shown, more = found[:_PAGE], len(found) > _PAGE
        rows = "".join(
            f"<Upload><Key>{escape(name)}</Key><UploadId>{upload_id}</UploadId></Upload>" for name, upload_id in shown
        )
        marks = (
            f"<NextKeyMarker>{escape(shown[-1][0])}</NextKeyMarker>"
            f"<NextUploadIdMarker>{shown[-1][1]}</NextUploadIdMarker>"
            if more
            else ""
        )
        self.xml(
            f"<ListMultipartUploadsResult {_NAMESPACE}><IsTruncated>{str(more).lower()}</IsTruncated>{marks}{rows}"
            "</ListMultipartUploadsResult>"
        )
