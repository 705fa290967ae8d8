"""What CloudFormation does that the stand-in does not: creations that fail, changes that name no resource."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra import cloudformation
from infra.cloudformation import Change, DeploymentError, Stack, UnfinishedError

TEMPLATE = '{"Resources": {"Ledger": {"Type": "AWS::DynamoDB::Table"}}}'


class FakeCloudFormation:
    """One stack, whose status moves on by one with each look at it."""

    def __init__(self, *statuses: str, change_set: dict[str, Any] | None = None, then: tuple[str, ...] = ()) -> None:
        self.statuses = list(statuses)
        self.change_set = change_set or {"Status": "CREATE_COMPLETE", "Changes": []}
        self.then = then
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def describe_stacks(self, **_: Any) -> dict[str, Any]:
        status = self.statuses[0]
        if len(self.statuses) > 1:
            self.statuses.pop(0)
        if status == "none":
            error = {"Error": {"Code": "ValidationError", "Message": "Stack with id s does not exist"}}
            raise ClientError(error, "DescribeStacks")
        return {"Stacks": [{"StackStatus": status}]}

    def describe_change_set(self, **_: Any) -> dict[str, Any]:
        return self.change_set

    def describe_stack_events(self, **_: Any) -> dict[str, Any]:
        reason = "bucket already exists"
        event = {"ResourceStatus": "CREATE_FAILED", "LogicalResourceId": "Pickup", "ResourceStatusReason": reason}
        return {"StackEvents": [event]}

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> dict[str, Any]:
            self.calls.append((name, arguments))
            if name == "delete_stack":
                self.statuses = ["DELETE_IN_PROGRESS", "none"]
            if name == "execute_change_set":
                self.statuses = list(self.then)
            return {"Id": "change-set"}

        return call

    def named(self) -> list[str]:
        return [name for name, _ in self.calls]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(cloudformation, "_POLL", 0)


def test_a_stack_whose_creation_was_rolled_back_is_deleted_and_created_anew():
    aws = FakeCloudFormation("ROLLBACK_COMPLETE", then=("CREATE_IN_PROGRESS", "CREATE_COMPLETE"))
    Stack(aws, "s", TEMPLATE).deploy()
    assert aws.named() == ["delete_stack", "create_change_set", "execute_change_set"]
    assert aws.calls[1][1]["ChangeSetType"] == "CREATE"
    assert aws.calls[2][1]["RetainExceptOnCreate"], "or what a failed creation made would be in the next one's way"


def test_a_dry_run_over_such_a_stack_touches_nothing():
    aws = FakeCloudFormation("ROLLBACK_COMPLETE")
    assert Stack(aws, "s", TEMPLATE).plan() == [Change("Add", "Ledger", "AWS::DynamoDB::Table", replacement=False)]
    assert aws.calls == []


def test_a_change_of_outputs_alone_is_carried_out_for_other_stacks_wait_for_it():
    aws = FakeCloudFormation("UPDATE_COMPLETE", then=("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"))
    assert Stack(aws, "s", TEMPLATE).deploy() == []
    assert aws.named() == ["create_change_set", "execute_change_set"]
    assert "RetainExceptOnCreate" not in aws.calls[1][1]


def test_nothing_to_change_is_not_carried_out():
    nothing = {"Status": "FAILED", "StatusReason": "The submitted information didn't contain changes."}
    aws = FakeCloudFormation("CREATE_COMPLETE", change_set=nothing)
    assert Stack(aws, "s", TEMPLATE).deploy() == []
    assert aws.named() == ["create_change_set", "delete_change_set"]


def test_a_creation_that_fails_says_why():
    aws = FakeCloudFormation("none", then=("CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_COMPLETE"))
    with pytest.raises(DeploymentError, match=r"ROLLBACK_COMPLETE\n  Pickup: bucket already exists"):
        Stack(aws, "s", TEMPLATE).deploy()


def test_an_update_that_an_earlier_deployment_began_is_waited_for_and_the_rest_is_done():
    aws = FakeCloudFormation("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE")
    aws.then = ("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE")
    said: list[str] = []
    Stack(aws, "s", TEMPLATE, say=said.append).deploy()
    assert said == ["s: UPDATE_IN_PROGRESS: an earlier deployment is still under way; waiting for it"]
    assert aws.named() == ["create_change_set", "execute_change_set"]


def test_an_update_that_takes_longer_than_the_patience_is_no_failure():
    aws = FakeCloudFormation("UPDATE_COMPLETE", then=("UPDATE_IN_PROGRESS",))
    with pytest.raises(UnfinishedError, match=r"AWS goes on with it\. Run the same again"):
        Stack(aws, "s", TEMPLATE, patience=0).deploy()


def test_a_change_set_that_waits_for_nobody_is_not_waited_for():
    aws = FakeCloudFormation("REVIEW_IN_PROGRESS", then=("CREATE_COMPLETE",))
    Stack(aws, "s", TEMPLATE).deploy()
    assert aws.calls[0][1]["ChangeSetType"] == "CREATE"


def test_an_update_whose_undoing_failed_says_what_a_person_has_to_do():
    aws = FakeCloudFormation("UPDATE_ROLLBACK_FAILED")
    with pytest.raises(DeploymentError, match="Continue update rollback"):
        Stack(aws, "s", TEMPLATE).deploy()
    assert aws.calls == []
