"""R7.2: each e-mail is claimed once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from client_delivery.ledger.mail_marks import MailMarks
from tests.support.factories import RUN
from tests.support.scenario import order_faults


@pytest.fixture
def marks(ledger, dynamodb, ledger_table) -> MailMarks:
    return MailMarks(dynamodb, ledger_table, ledger.delivery_key)


def test_r7_2_each_kind_is_claimed_once_per_life_of_a_run(marks):
    assert marks.claim("started", RUN)
    assert not marks.claim("started", RUN)
    assert marks.claim("finished", RUN)
    assert marks.claim("started", replace(RUN, generation=1))


def test_r7_2_a_released_claim_can_be_claimed_again(marks):
    marks.claim("started", RUN)
    marks.release("started", RUN)
    assert marks.claim("started", RUN)


def test_r7_2_only_ones_own_claim_is_released(marks, dynamodb, ledger_table, ledger):
    marks.claim("started", RUN)
    another = MailMarks(dynamodb, ledger_table, ledger.delivery_key)
    assert not another.claim("started", RUN)
    another.release("started", RUN)
    assert not marks.claim("started", RUN)


def test_r7_2_of_racing_claims_exactly_one_wins(marks):
    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(lambda _: marks.claim("finished", RUN), range(4)))
    assert sorted(won) == [False, False, False, True]


def test_r7_2_a_claim_whose_answer_is_lost_is_known_to_have_been_made(marks, lost_answer):
    assert lost_answer(lambda: marks.claim("started", RUN)) == ["dynamodb.UpdateItem"]
    assert not marks.claim("started", RUN)


def test_r7_2_what_can_be_claimed_for_one_life_only_is_claimed_for_none(marks, stack):
    """Nothing is sent then, and another try must be able to."""
    lives = [replace(RUN, generation=number) for number in range(3)]
    refusal = {"call": "dynamodb.UpdateItem", "skip": 1, "status": 400, "code": "AccessDeniedException"}
    order_faults(stack.aws_url, [refusal])
    with pytest.raises(ClientError, match="AccessDeniedException"):
        marks.claim_each("event", lives)
    assert order_faults(stack.aws_url) == ["dynamodb.UpdateItem"]
    assert marks.claim_each("event", lives) == {*lives}
    assert marks.claim_each("event", [*lives, replace(RUN, generation=3)]) == {replace(RUN, generation=3)}


def test_r7_2_a_ledger_that_takes_nothing_says_so_at_the_claim(marks, stack):
    order_faults(stack.aws_url, [{"call": "dynamodb", "status": 400, "code": "AccessDeniedException", "times": 0}])
    with pytest.raises(ClientError, match="AccessDeniedException"):
        marks.claim_each("event", [RUN])
    order_faults(stack.aws_url)
    assert marks.claim_each("event", [RUN]) == {RUN}


def test_r3_3_only_marks_expire_and_they_are_no_open_entries(marks, ledger, dynamodb, ledger_table):
    marks.claim("started", RUN)
    items = dynamodb.query(
        TableName=ledger_table,
        KeyConditionExpression="clientHNumber = :key",
        ExpressionAttributeValues={":key": {"S": ledger.delivery_key}},
    )["Items"]
    assert ["expiresAt" in item for item in items] == [True]
    assert ledger.open_entries() == []
