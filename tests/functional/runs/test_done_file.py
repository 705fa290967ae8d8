"""R4.5: whatever the pick-up's bucket keeps of older done files, no set is ever sent without its own."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from client_delivery.ledger.board import Board
from client_delivery.web.access import Dag
from client_delivery.web.standing import State, row_of
from local.stand_ins import LEDGER_TABLE
from tests.support.pickups import make_bucket


@pytest.mark.parametrize("kind", ["versioned", "versioned, KMS", "suspended"])
def test_r4_5_a_done_file_that_was_put_twice_speaks_for_one_set(scenario, stack, kind):
    bucket = make_bucket(stack.client("s3"), kind)
    client = scenario("s3", trigger_on_done_file=True, pickup={"bucket": bucket, "prefix": "twice/"})
    client.drop("set1.csv", "set 1")
    client.drop_done()
    client.drop_done()  # an uploader that tries again
    assert client.run().state == "success"
    assert client.delivered() == {"set1.csv": b"set 1"}
    client.drop("set2-part-1-of-9.csv", "set 2 is not complete")
    second = client.run()
    assert second.executed == ["register_files"]
    assert "set2-part-1-of-9.csv" not in client.delivered()
    client.drop_done()
    assert client.run().state == "success"
    assert client.delivered()["set2-part-1-of-9.csv"] == b"set 2 is not complete"


def test_r4_3_a_client_that_waits_for_its_done_file_says_how_many_files_wait(scenario, caplog):
    client = scenario(trigger_on_done_file=True)
    client.drop("a.csv", "a")
    client.drop("b.csv", "b")
    with caplog.at_level("INFO"):
        client.run()
    (line,) = [record.getMessage() for record in caplog.records if '"nothing_to_do"' in record.getMessage()]
    assert '"waiting_for_done_file": 2' in line
    assert client.delivered() == {}
    board = Board(client.stack.client("dynamodb"), LEDGER_TABLE)
    row = row_of(Dag(client.config.name), board.of(client.config.name), datetime.now(UTC))
    done = f"{client.config.client_h_number}.done"
    assert (row.state, row.waiting, row.sentence) == (State.CALM, 2, f"2 files wait for {done}.")
    client.drop_done()
    client.run()
    assert board.of(client.config.name).waiting is None
