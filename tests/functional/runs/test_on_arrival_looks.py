"""R4.1: what a watcher starts a run for and what not, on the pick-up and the ledger as runs leave them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from client_delivery.access.aws import watching_dynamodb_client, watching_s3_client
from client_delivery.operators.register_files import RegisterFilesSensor
from client_delivery.operators.transfer_batch import TransferBatchOperator
from client_delivery.pickup.pickup import PickupError
from client_delivery.run.watching import Watch
from local.stand_ins import PICKUP_BUCKET
from tests.functional.runs.test_dying_runs import ProcessDied, die_in

ALWAYS_OPEN = {"schedule": "0 0 1 1 *", "trigger": "on_arrival"}


@pytest.fixture(autouse=True)
def fresh_clients():
    """They are kept for the life of a process, and belong to one set of stand-ins."""
    watching_s3_client.cache_clear()
    watching_dynamodb_client.cache_clear()


@pytest.fixture
def watched(scenario):
    def make(destination: str = "s3", **changes: Any) -> Any:
        return scenario(destination, **{**ALWAYS_OPEN, **changes})

    return make


def starts(client: Any, watch: Watch | None = None) -> bool:
    """Whether a watcher that remembers nothing would start a run now."""
    watch = watch or Watch(client.config)
    found = watch.look()
    return found is not None and watch.claim(found)


def requests(client: Any) -> dict[str, int]:
    url = f"{client.stack.aws_url}/_local/requests"
    counts: dict[str, int] = httpx.get(url).raise_for_status().json()
    httpx.delete(url).raise_for_status()
    return counts


def test_a_new_file_starts_a_run_once_whoever_sees_it(watched):
    client = watched()
    assert not starts(client), "nothing waits"
    client.drop("members.csv", "members")
    assert starts(client)
    assert not starts(client), "another triggerer, or this one after a restart, before the run has registered anything"
    client.drop("claims.csv", "claims")
    assert starts(client), "more has come since"


@pytest.mark.parametrize("after", ["next_run", "keep", "delete"])
@pytest.mark.parametrize("kind", ["plain", "kms"])
def test_what_was_delivered_starts_none_wherever_it_is_left(watched, kind, after):
    client = watched(after_delivery=after, pickups=kind)
    client.drop("members.csv", "members")
    assert client.run().state == "success"
    assert not starts(client)
    client.drop("members.csv", "members")
    # Under KMS each upload has an ETag of its own: that the content was sent before, the run finds out.
    assert starts(client) is (kind == "kms")
    assert client.run().state == "success"
    assert not starts(client)
    client.drop("members.csv", "other members")
    assert starts(client)


def test_what_failed_starts_none_until_somebody_drops_it_again(watched):
    client = watched(place={"bucket": "no-such-bucket"})
    client.drop("members.csv", "members")
    assert client.run().state == "failed"
    assert not starts(client)
    client.drop("members.csv", "members")
    assert starts(client), "R5.9: a new wish"


def test_what_a_guard_holds_starts_none(watched):
    client = watched(guards={"not_empty": True}, pickups="plain")
    client.drop("members.csv", "")
    assert starts(client), "people are told of it at once"
    assert client.run().state == "failed"
    assert not starts(client)
    client.drop("members.csv", "")
    assert not starts(client), "dropped again, it is as empty as before"


def test_what_may_still_be_written_starts_none_until_it_has_been_left_alone(watched):
    client = watched(guards={"stable_for": "5 min"})
    client.drop("members.csv", "members")
    watch = Watch(client.config)
    assert not starts(client, watch)
    later = datetime.now(UTC) + timedelta(minutes=6)
    assert Watch(client.config, clock=lambda: later).look() is None, "the run would leave it too: its clock is ours"
    assert requests(client)["s3.ListObjectsV2"] >= 2


@pytest.mark.parametrize("registered", [True, False])
def test_a_file_in_the_hands_of_a_run_that_died_starts_none(watched, monkeypatch, registered):
    client = watched()
    client.drop("members.csv", "members")
    with monkeypatch.context() as death:
        die_in(death, TransferBatchOperator if registered else RegisterFilesSensor)
        with pytest.raises(ProcessDied):
            client.run()
    assert starts(client) is not registered
    assert client.run().state == "success"
    assert not starts(client)


def test_with_a_done_file_only_the_done_file_starts_a_run_and_it_costs_one_head_request(watched):
    client = watched(trigger_on_done_file=True)
    client.drop("members.csv", "members")
    requests(client)
    assert not starts(client)
    assert requests(client) == {"s3.HeadObject": 1}
    client.drop_done()
    assert starts(client)
    assert not starts(client)
    assert client.run().state == "success"
    assert list(client.delivered()) == ["members.csv"]
    assert not starts(client)
    client.drop_done()
    assert starts(client), "it speaks for a new set, though none has come: the run removes it"


def test_while_nothing_comes_a_look_is_one_listing_and_no_read_of_the_ledger(watched):
    client = watched(after_delivery="keep")
    watch = Watch(client.config)
    requests(client)
    assert not starts(client, watch)
    assert requests(client) == {"s3.ListObjectsV2": 1}
    client.drop("members.csv", "members")
    client.run()
    assert not starts(client, watch)
    requests(client)
    assert not starts(client, watch)
    assert requests(client) == {"s3.ListObjectsV2": 1}, "what stays there is known"


def test_while_the_window_is_closed_nobody_is_asked(watched):
    at = datetime.now(UTC)
    closed = f"{(at + timedelta(hours=2)):%H:00}"
    client = watched(window={"from": closed, "to": f"{(at + timedelta(hours=3)):%H:00}"})
    client.drop("members.csv", "members")
    requests(client)
    assert not starts(client)
    assert requests(client) == {}
    opened = (at + timedelta(hours=2)).replace(minute=1)
    assert Watch(client.config, clock=lambda: opened).look() is not None, "when it opens, what waits starts a run"


def test_files_that_no_run_could_take_on_do_not_start_one_after_the_other(watched):
    client = watched()
    client.drop("members.csv", "members")
    moments = [datetime.now(UTC)]
    watch = Watch(client.config, clock=lambda: moments[0])
    begun = []
    for minute in range(0, 4 * 60, 5):
        if starts(client, watch):
            begun.append(minute)
        moments[0] += timedelta(minutes=5)
    assert begun == [0, 5, 15, 35, 75, 155], "minutes"


def test_a_pickup_that_may_not_be_looked_at_is_said_to_be_so(watched):
    role = "arn:aws:iam::111122223333:role/pickup-reader"
    missing = watched(pickup={"bucket": "no-such-bucket", "prefix": "acme/"})
    with pytest.raises(PickupError, match="no-such-bucket"):
        Watch(missing.config).look()
    client = watched(pickup={"bucket": PICKUP_BUCKET, "prefix": "denied/", "role_arn": role})
    client.drop("members.csv", "members")
    watch = Watch(client.config)
    client.aws_faults({"call": "s3.ListObjectsV2", "status": 403, "code": "AccessDenied", "times": 0})
    with pytest.raises(PickupError, match=f"access denied to the role {role}"):
        watch.look()
    client.aws_faults()
    assert starts(client, watch), "the next look is as ever"


def test_clients_with_one_identity_share_their_connections(watched):
    first, second = watched(), watched()
    starts(first), starts(second)
    assert watching_s3_client.cache_info().currsize == 1
    assert watching_dynamodb_client.cache_info().misses <= 1
