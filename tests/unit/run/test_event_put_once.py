"""The event that a delivery has ended: at most one, and none that a delivery waits for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ReadTimeoutError

from client_delivery.ledger.entry import Status
from client_delivery.run import announcing
from client_delivery.runtime import backoff
from client_delivery.runtime.settings import Settings
from tests.support.factories import RUN, an_entry
from tests.support.offline import a_config, a_run
from tests.unit.run.test_told_once import Ledger, Marks

URL = "https://events.us-east-1.amazonaws.com"
AWAY = EndpointConnectionError(endpoint_url=URL)
SENT = an_entry(owned_by=RUN, open=True)


class Bus:
    """EventBridge, whose calls end as a test says; the last one goes on."""

    def __init__(self, *ends: Exception | dict[str, Any]) -> None:
        self._ends = list(ends) or [{}]
        self.calls = 0

    def put_events(self, Entries: list[dict[str, str]]) -> dict[str, Any]:
        self.calls += 1
        end = self._ends.pop(0) if len(self._ends) > 1 else self._ends[0]
        if isinstance(end, Exception):
            raise end
        return end


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(backoff, "sleep", lambda seconds: None)


def run_of(*entries: Any, marks: Any = None) -> Any:
    settings = Settings(ledger_table="none", event_bus="deliveries")
    return a_run(a_config(), ledger=Ledger(*entries), mail_marks=marks or Marks(), settings=settings)


def put(run: Any, bus: Any) -> bool:
    return announcing.put_event(run, lambda: bus, run_url=None)


def refused(code: str, status: int) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "PutEvents")


@pytest.mark.parametrize(
    ("ends", "calls", "said"),
    [
        ([AWAY], 3, "EventBridge cannot be reached (EndpointConnectionError)"),
        ([NoCredentialsError()], 1, "EventBridge was not asked: Unable to locate credentials"),
        ([refused("ThrottlingException", 400)], 3, "EventBridge refuses: no [ThrottlingException]"),
        ([refused("AccessDeniedException", 403)], 1, "It needs events:PutEvents on the bus 'deliveries', which must"),
        (
            [{"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure", "ErrorMessage": "later"}]}],
            3,
            "EventBridge did not accept it: later [InternalFailure]",
        ),
    ],
    ids=["no connection", "no credentials", "throttled", "denied", "accepted, not put"],
)
def test_what_was_certainly_not_put_is_said_and_can_be_put_by_another_try(events, ends, calls, said):
    run, bus = run_of(SENT), Bus(*ends)
    assert not put(run, bus)
    assert bus.calls == calls
    assert said in events("event_not_put")[0]["error"]
    assert put(run, Bus())
    assert len(events("event_put")) == 1


def test_trouble_that_passes_is_waited_for(events):
    bus = Bus(AWAY, refused("ServiceUnavailable", 503), {})
    assert put(run_of(SENT), bus)
    assert (bus.calls, events("event_not_put")) == (3, [])


@pytest.mark.parametrize("end", [ReadTimeoutError(endpoint_url=URL), refused("InternalFailure", 500)], ids=str)
def test_what_may_have_been_put_is_not_put_again(events, end):
    run, bus = run_of(SENT), Bus(end)
    assert not put(run, bus)
    assert "it is not known whether it was put" in events("event_not_put")[0]["error"]
    again = Bus()
    assert put(run, again), "nothing is due any more"
    assert (bus.calls, again.calls, len(events("event_not_due"))) == (1, 0, 1)


@pytest.mark.parametrize("what", ["the ledger", "the claim", "EventBridge's client"])
def test_trouble_before_the_call_fails_no_task_and_loses_no_event(events, what):
    run = run_of(SENT, marks=Marks(broken=what == "the claim"))
    if what == "the ledger":
        vars(run)["ledger"] = SimpleNamespace(open_now=_fails)
    opens: Any = _fails if what == "EventBridge's client" else Bus
    assert not announcing.put_event(run, opens, run_url=None)
    assert len(events("event_not_put")) == 1
    run.mail_marks.broken = False
    vars(run)["ledger"] = Ledger(SENT)
    assert put(run, Bus())
    assert len(events("event_put")) == 1


def _fails(*args: object) -> Any:
    raise ConnectionError("no response")


def test_no_event_tells_of_files_that_are_still_under_way():
    under_way = an_entry(status=Status.PROCESSING, active=True, owned_by=RUN, open=True)
    bus = Bus()
    assert put(run_of(under_way), bus)
    assert bus.calls == 0
