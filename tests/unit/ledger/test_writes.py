"""Conditional writes in trouble: what is tried again, for how long, and what is known of it afterwards."""

from __future__ import annotations

from typing import Any

import pytest
from boto3.dynamodb.conditions import Attr
from botocore.exceptions import EndpointConnectionError

from client_delivery.ledger.numbers import Numbers, NumbersMoved
from client_delivery.ledger.table import Ledger
from client_delivery.ledger.writes import ConditionalWriter, Write
from client_delivery.runtime import backoff
from tests.support.factories import a_file, an_entry
from tests.unit.ledger.table import Table, cancelled, refused

CONFLICT = ("None", "TransactionConflict")
AWAY = EndpointConnectionError(endpoint_url="https://dynamodb")


@pytest.fixture(autouse=True)
def clock(monkeypatch) -> Any:
    """Time goes by only while it is waited for."""

    class Clock:
        now = 0.0

        def sleep(self, seconds: float) -> None:
            self.now += max(seconds, 0.01)

    clock = Clock()
    monkeypatch.setattr(backoff, "sleep", clock.sleep)
    monkeypatch.setattr(backoff, "clock", lambda: clock.now)
    return clock


def write(**assign: Any) -> Write:
    key = {"clientHNumber": "H1234", "etag": "e"}
    return Write.update("ledger", key, assign or {"status": "success"}, Attr("fencingToken").eq(1))


def writer(table: Any) -> ConditionalWriter:
    return ConditionalWriter(table)


class TestTogether:
    """A transaction."""

    def test_a_conflict_says_nothing_of_the_conditions_and_is_tried_again_as_the_same(self):
        table = Table(transact_write_items=[cancelled(*CONFLICT), cancelled("ThrottlingError", "None"), {}])
        assert writer(table).change_together([write(), write()])
        assert len({request["ClientRequestToken"] for _, request in table.requests}) == 1
        assert len(table.requests) == 3

    @pytest.mark.parametrize(("patience", "least"), [(0, 30), (300, 300)])
    def test_a_conflict_that_does_not_pass_is_told_after_half_a_minute_at_least(self, clock, patience, least):
        table = Table(transact_write_items=[cancelled(*CONFLICT)])
        with pytest.raises(type(cancelled())):
            writer(table).change_together([write(), write()], patience=patience)
        assert least <= clock.now < least + 1

    def test_a_condition_that_does_not_hold_is_not_tried_again(self):
        table = Table(transact_write_items=[cancelled("ConditionalCheckFailed", "None", item={"status": "fail"})])
        assert not writer(table).change_together([write(), write()])
        assert len(table.requests) == 1

    def test_one_whose_response_was_lost_is_known_by_what_it_wrote(self):
        mine = {"status": "success", "timestamp": "2026-03-01T12:00:00.000Z"}
        table = Table(transact_write_items=[cancelled("ConditionalCheckFailed", "None", item=mine)])
        assert writer(table).change_together([write(**mine), write()])

    @pytest.mark.parametrize(("patience", "calls"), [(0, 1), (60, 3)])
    def test_other_trouble_is_tried_again_as_long_as_one_has_patience(self, patience, calls):
        table = Table(transact_write_items=[AWAY, refused("AccessDeniedException"), {}])
        if patience:
            assert writer(table).change_together([write()], patience=patience)
        else:
            with pytest.raises(EndpointConnectionError):
                writer(table).change_together([write()])
        assert len(table.requests) == calls


class TestOne:
    """A write of one item."""

    def test_trouble_is_tried_again_as_long_as_one_has_patience(self, clock):
        item = {"status": {"S": "success"}}
        table = Table(update_item=[AWAY, AWAY, {"Attributes": item}])
        assert writer(table).change(write(), patience=60) == {"status": "success"}
        with pytest.raises(EndpointConnectionError):
            writer(Table(update_item=[AWAY])).change(write(), patience=60)
        assert clock.now >= 60

    def test_without_patience_trouble_is_told_at_once(self, clock):
        with pytest.raises(EndpointConnectionError):
            writer(Table(update_item=[AWAY])).change(write())
        assert clock.now == 0


def test_of_many_puts_only_those_that_were_left_over_are_sent_again(clock):
    left = {"ledger": [{"PutRequest": {"Item": {"etag": {"S": "b"}}}}]}
    table = Table(batch_write_item=[{"UnprocessedItems": left}, {"UnprocessedItems": left}, {}])
    writer(table).put_all("ledger", [{"etag": "a"}, {"etag": "b"}])
    sent = [request["RequestItems"] for _, request in table.requests]
    assert [len(some["ledger"]) for some in sent] == [2, 1, 1]
    assert sent[1] == sent[2] == left
    assert clock.now > 0, "DynamoDB asks for a pause"


class TestNumbers:
    """In delivered names, while another run takes some as well."""

    @staticmethod
    def numbers(table: Any) -> Numbers:
        return Numbers(table, "ledger", "pickup", "in/")

    @staticmethod
    def counters(last: int) -> dict[str, Any]:
        keys = ("number#ever", "number#day#2026-03-01")
        items = [{"clientHNumber": {"S": "x"}, "etag": {"S": key}, "last": {"N": str(last)}} for key in keys]
        return {"Responses": {"ledger": items}}

    def test_the_next_ones_are_taken_when_another_run_was_first(self):
        nothing: dict[str, Any] = {"Responses": {}}
        table = Table(
            batch_get_item=[nothing, self.counters(4), nothing, self.counters(5)],
            transact_write_items=[cancelled("ConditionalCheckFailed"), {}],
        )
        given = self.numbers(table).give(["a", "b"], day="2026-03-01", at="2026-03-01T12:00:00.000Z")
        assert {file: (one.ever, one.of_day) for file, one in given.items()} == {"a": (6, 6), "b": (7, 7)}

    def test_a_run_that_is_never_first_says_that_nothing_is_lost(self):
        table = Table(batch_get_item=[{"Responses": {}}], transact_write_items=[cancelled(*CONFLICT)])
        with pytest.raises(NumbersMoved, match="Nothing is lost: the next try takes the next numbers"):
            self.numbers(table).give(["a"], day="2026-03-01", at="2026-03-01T12:00:00.000Z")
        assert sum(name == "transact_write_items" for name, _ in table.requests) == 5


def test_an_entry_that_changes_while_it_is_taken_over_stays_where_it_is():
    """The next run looks again; the others are taken all the same."""
    entries = [an_entry(a_file(name, name)) for name in ("gone", "moved", "taken")]
    items = [{"clientHNumber": {"S": "H1"}, "etag": {"S": name}} for name in ("moved", "taken")]
    table: Any = Table(
        batch_get_item=[{"Responses": {"ledger": items}}],
        transact_write_items=[cancelled("None", "ConditionalCheckFailed"), {}],
    )
    assert Ledger(table, "ledger", "H1#claims").adopt(entries, Ledger(table, "ledger", "H1")) == ["taken"]
