"""What moto's CloudFormation lacks for our templates.

Tags of a KMS key are called otherwise than everywhere else; buckets are not versioned; stacks that change sets make
know no other stacks' exports, and have none; and no stack can be protected later.
"""

from __future__ import annotations

from typing import Any

from moto.cloudformation.models import CloudFormationBackend
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.responses import ActionResult
from moto.kms.models import Key
from moto.s3.models import FakeBucket


def install() -> None:
    """Fix it."""
    _translate_tags()
    _version_buckets()
    _export_from_change_sets()
    CloudFormationResponse.update_termination_protection = _protect  # type: ignore[attr-defined]


def _protect(self: Any) -> ActionResult:
    stack = self.cloudformation_backend.get_stack(self._get_param("StackName"))
    stack.enable_termination_protection = self._get_bool_param("EnableTerminationProtection")
    return ActionResult({"StackId": stack.stack_id})


def _translate_tags() -> None:
    original = Key.create_from_cloudformation_json.__func__  # type: ignore[attr-defined]

    def create(cls: Any, name: str, resource: Any, *arguments: Any, **options: Any) -> Key:
        tags = resource["Properties"].get("Tags", [])
        renamed = [{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in tags if "Key" in tag]
        properties = {**resource["Properties"], "Tags": renamed}
        key: Key = original(cls, name, {**resource, "Properties": properties}, *arguments, **options)
        return key

    Key.create_from_cloudformation_json = classmethod(create)  # type: ignore[method-assign,assignment]


def _version_buckets() -> None:
    original = FakeBucket.create_from_cloudformation_json.__func__  # type: ignore[attr-defined]

    def create(cls: Any, name: str, resource: Any, *arguments: Any, **options: Any) -> FakeBucket:
        bucket: FakeBucket = original(cls, name, resource, *arguments, **options)
        bucket.versioning_status = resource["Properties"].get("VersioningConfiguration", {}).get("Status")
        return bucket

    FakeBucket.create_from_cloudformation_json = classmethod(create)  # type: ignore[method-assign,assignment]


def _export_from_change_sets() -> None:
    original = CloudFormationBackend.execute_change_set

    def execute(self: Any, *arguments: Any, **options: Any) -> None:
        for stack in self.stacks.values():
            stack.resource_map.cross_stack_resources = self.exports
        original(self, *arguments, **options)
        for stack in self.stacks.values():
            if not stack.template:
                continue  # only a change set so far
            stack._parse_template()
            stack.output_map = stack._create_output_map()
            for export in stack.exports:
                self.exports.setdefault(export.name, export)

    CloudFormationBackend.execute_change_set = execute  # type: ignore[method-assign]
