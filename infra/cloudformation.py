"""Stacks by change sets: what would change is known, and said, before anything does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

_LONGEST_INLINE = 51_200
"""Bytes of a template that CloudFormation takes in the request itself."""
PATIENCE = 13 * 3600.0
"""Seconds: MWAA lets running tasks finish for up to twelve hours before it has updated an environment (its user guide,
"Update an Amazon MWAA environment"), and takes up to 40 minutes beside that."""
_POLL = 5.0
_REPORT = 600.0
"""Seconds after which it is said again that something is waited for."""


class DeploymentError(Exception):
    """CloudFormation refused or rolled back. The message has its reasons."""


class UnfinishedError(DeploymentError):
    """AWS is still at it. Nothing is wrong: the same deployment, run again, waits for it and does the rest."""


@dataclass(frozen=True)
class Change:
    """One resource that a change set touches."""

    action: str
    """``Add``, ``Modify``, ``Remove``."""
    logical_id: str
    resource_type: str
    replacement: bool

    def __str__(self) -> str:
        replaced = "  REPLACED: it is made anew, and the old one goes" if self.replacement else ""
        return f"{self.action:<7}{self.resource_type:<34}{self.logical_id}{replaced}"


class Stack:
    """One stack of the environment."""

    def __init__(
        self,
        client: Any,
        name: str,
        template: str,
        *,
        template_url: str | None = None,
        patience: float = PATIENCE,
        say: Callable[[str], None] = print,
    ) -> None:
        self._client = client
        self.name = name
        self._template = template
        self._url = template_url
        self._patience = patience
        self._say = say

    @staticmethod
    def needs_url(template: str) -> bool:
        """Whether the template is too large for a request and must be in a bucket."""
        return len(template.encode()) > _LONGEST_INLINE

    def outputs(self) -> dict[str, str]:
        """What the deployed stack says of itself."""
        (stack,) = self._client.describe_stacks(StackName=self.name)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

    def plan(self) -> list[Change]:
        """What would change. Leaves nothing behind."""
        if not self._exists() or self._never_came_to_be():
            # All of it is new. A change set could not tell, for it may import what another stack is yet to export.
            resources = json.loads(self._template)["Resources"]
            return [Change("Add", name, one["Type"], replacement=False) for name, one in resources.items()]
        change_set = self._change_set(exists=True)
        changes = self._changes(change_set)
        self._client.delete_change_set(StackName=self.name, ChangeSetName=change_set)
        return changes or []

    def deploy(self) -> list[Change]:
        """Change it, and wait until that is done; what an earlier deployment began is waited for first.

        Raises :class:`DeploymentError`, and :class:`UnfinishedError` when its patience is at an end.
        """
        self._let_finish()
        if self._never_came_to_be():
            self._client.delete_stack(StackName=self.name)
            self._await(lambda: self._status() is None)
        exists = self._exists()
        change_set = self._change_set(exists=exists)
        changes = self._changes(change_set)
        if changes is None:
            self._client.delete_change_set(StackName=self.name, ChangeSetName=change_set)
            return []
        # A creation that fails takes along what it had made, or its names would be taken at the next try.
        more = {} if exists else {"RetainExceptOnCreate": True}
        self._client.execute_change_set(StackName=self.name, ChangeSetName=change_set, **more)
        done = "UPDATE_COMPLETE" if exists else "CREATE_COMPLETE"
        self._await(lambda: self._status() == done)
        return changes

    def protect(self) -> None:
        """Let nobody delete the stack before this has been taken back, by hand."""
        self._client.update_termination_protection(StackName=self.name, EnableTerminationProtection=True)

    def _let_finish(self) -> None:
        """An earlier deployment may have ended before AWS did: its credentials expired, its job was over."""
        status = self._status() or ""
        if status == "UPDATE_ROLLBACK_FAILED":
            raise DeploymentError(
                f"{self.name}: {status}: an update failed, and so did its undoing.\n{self._reasons()}\n"
                "Fix the cause, choose *Continue update rollback* for the stack in the CloudFormation console, then "
                "run the same again."
            )
        if _busy(status):
            self._say(f"{self.name}: {status}: an earlier deployment is still under way; waiting for it")
            self._await(lambda: not _busy(self._status() or ""))

    def _status(self) -> str | None:
        try:
            (stack,) = self._client.describe_stacks(StackName=self.name)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return None if stack["StackStatus"] == "DELETE_COMPLETE" else str(stack["StackStatus"])

    def _exists(self) -> bool:
        return self._status() not in (None, "REVIEW_IN_PROGRESS")

    def _never_came_to_be(self) -> bool:
        """Its creation failed and was rolled back: such a stack can only be deleted."""
        return self._status() in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED")

    def _change_set(self, *, exists: bool) -> str:
        body = {"TemplateURL": self._url} if self._url else {"TemplateBody": self._template}
        answer = self._client.create_change_set(
            StackName=self.name,
            ChangeSetName=f"deploy-{int(time.time() * 1000)}",
            ChangeSetType="UPDATE" if exists else "CREATE",
            Capabilities=["CAPABILITY_NAMED_IAM"],
            **body,
        )
        return str(answer["Id"])

    def _changes(self, change_set: str) -> list[Change] | None:
        """None if there is nothing to carry out; a change of outputs alone names no resource, but is one."""
        deadline = time.monotonic() + 300
        while True:
            found = self._client.describe_change_set(StackName=self.name, ChangeSetName=change_set)
            if found["Status"] in ("CREATE_COMPLETE", "FAILED"):
                break
            if time.monotonic() > deadline:
                raise DeploymentError(f"{self.name}: the change set is not ready after five minutes.")
            time.sleep(_POLL)
        if found["Status"] == "FAILED":
            reason = found.get("StatusReason", "")
            if "didn't contain changes" in reason or "No updates are to be performed" in reason:
                return None
            raise DeploymentError(f"{self.name}: CloudFormation refuses the template: {reason}")
        changes = [change["ResourceChange"] for change in found.get("Changes", [])]
        return [
            Change(
                change["Action"],
                change["LogicalResourceId"],
                change["ResourceType"],
                change.get("Replacement") == "True",
            )
            for change in changes
        ]

    def _await(self, reached: Callable[[], bool]) -> None:
        begun = said = time.monotonic()
        while not reached():
            status = self._status() or "deleted"
            # Over, and not what was wanted; a rollback in progress is waited for, since its reasons are worth having.
            if not _busy(status) and not reached():
                raise DeploymentError(f"{self.name}: {status}\n{self._reasons()}")
            now = time.monotonic()
            if now - begun > self._patience:
                raise UnfinishedError(
                    f"{self.name}: still {status} after {self._patience / 60:.0f} minutes. AWS goes on with it. "
                    "Run the same again: it waits for it, and does the rest."
                )
            if now - said > _REPORT:
                self._say(f"{self.name}: still {status} after {(now - begun) / 60:.0f} minutes")
                said = now
            time.sleep(_POLL)

    def _reasons(self) -> str:
        events = self._client.describe_stack_events(StackName=self.name)["StackEvents"]
        failed = [event for event in events if event["ResourceStatus"].endswith("FAILED")]
        return "\n".join(
            f"  {event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}" for event in failed[:10]
        )


def _busy(status: str) -> bool:
    """Whether CloudFormation is changing the stack; one that only waits for a decision about its change set is not."""
    return status.endswith("IN_PROGRESS") and status != "REVIEW_IN_PROGRESS"
