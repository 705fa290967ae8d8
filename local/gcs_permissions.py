"""Which permission a call of the XML API needs: https://cloud.google.com/storage/docs/access-control/iam-xml.

``PUT /_local/permissions`` takes a JSON object: the permissions by bucket. In other buckets everything is allowed.
"""

from __future__ import annotations

from collections.abc import Collection

from local.http_stand_in import StandInError

OBJECT_CREATOR = (
    "storage.objects.create",
    "storage.multipartUploads.create",
    "storage.multipartUploads.abort",
    "storage.multipartUploads.listParts",
)
"""What ``roles/storage.objectCreator`` grants, as far as objects are concerned."""
_NEEDED = {
    "xml.PutObject": ("storage.objects.create",),
    "xml.ComposeObject": ("storage.objects.create", "storage.objects.get"),
    "xml.GetObject": ("storage.objects.get",),
    "xml.HeadObject": ("storage.objects.get",),
    "xml.DeleteObject": ("storage.objects.delete",),
    "xml.InitiateUpload": ("storage.multipartUploads.create", "storage.objects.create"),
    "xml.UploadPart": ("storage.multipartUploads.create", "storage.objects.create"),
    "xml.CompleteUpload": ("storage.multipartUploads.create", "storage.objects.create"),
    "xml.AbortUpload": ("storage.multipartUploads.abort",),
    "xml.ListParts": ("storage.multipartUploads.listParts",),
    "xml.ListUploads": ("storage.multipartUploads.list",),
}
_REPLACING = ("xml.PutObject", "xml.ComposeObject", "xml.CompleteUpload")
"""These need ``storage.objects.delete`` as well where there is an object of that name."""


def require_permission(granted: Collection[str], call: str, bucket: str, name: str, *, replaces: bool) -> None:
    """Raises what Google responds to an account that may not do that."""
    needed = _NEEDED[call] + (("storage.objects.delete",) if replaces and call in _REPLACING else ())
    for permission in needed:
        if permission not in granted:
            raise StandInError(
                403,
                "AccessDenied",
                f"delivery@local-project.iam.gserviceaccount.com does not have {permission} access to the Google Cloud "
                f"Storage object. Permission '{permission}' denied on resource "
                f"'//storage.googleapis.com/projects/_/buckets/{bucket}/objects/{name}' (or it may not exist).",
            )
