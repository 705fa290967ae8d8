"""What the building of the DAGs takes from the ledger, and what it does without one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from client_delivery.config.neighbours import Claim
from client_delivery.ledger.configurations import Begun
from client_delivery.ledger.life import RunRef
from client_delivery.ledger.view import LedgerView
from tests.support.offline import a_config

AT = "2026-03-01T12:00:00.000Z"
ARCHIVED = {"after_delivery": {"archive": "sent/"}}


def view(**before: Any) -> LedgerView:
    """Of a ledger in which the client's last run began with these fields; with none if nothing is given."""
    begun = None
    if before:
        fields = a_config(**before).model_dump_json(exclude_defaults=True)
        begun = Begun("acme", RunRef("run", 0, "acme"), fields, {}, AT)
    found = LedgerView()
    found.__dict__["_configurations"] = SimpleNamespace(get=lambda name: begun)
    return found


@pytest.mark.parametrize(
    ("before", "lost"),
    [
        ({"dedupe_by": "etag", "schedule": "0 6 * * *"}, set()),
        ({"feed": "claims"}, {Claim.KEY}),
        ({"pickup": {"bucket": "pickup", "prefix": "old/"}}, {Claim.PICKUP}),
        ({"pickup": {"bucket": "another", "prefix": "in/"}}, {Claim.PICKUP, Claim.ARCHIVE}),
        ({"destination": {"type": "s3", "bucket": "landing", "prefix": "old/"}}, {Claim.DESTINATION}),
        (
            {"destination": {"type": "gcs", "bucket": "landing", "prefix": "acme/", "connection_id": "x"}},
            {Claim.DESTINATION},
        ),
        ({"after_delivery": {"archive": "old/"}}, {Claim.ARCHIVE}),
        ({"after_delivery": "keep"}, {Claim.ARCHIVE}),
    ],
)
def test_r4_7_a_client_is_established_by_what_it_has_kept_since_its_last_run(before, lost):
    ledger, now = view(**ARCHIVED | before), a_config(**ARCHIVED)
    assert {claim for claim in Claim if ledger.established(now, claim) is None} == lost
    assert {ledger.established(now, claim) for claim in set(Claim) - lost} == {AT}


def test_a_client_that_never_ran_is_not_established():
    assert view().established(a_config(), Claim.PICKUP) is None


def test_without_a_table_every_file_is_judged_on_its_own(monkeypatch):
    monkeypatch.delenv("AIRFLOW__DELIVERY__LEDGER_TABLE", raising=False)
    ledger = LedgerView()
    assert ledger.under_way() == []
    assert ledger.established(a_config(), Claim.KEY) is None


def test_a_ledger_that_does_not_respond_is_asked_once_and_takes_no_dag_down(caplog):
    asked: list[str] = []

    def get(name: str) -> Begun:
        asked.append(name)
        raise ConnectionError("no response")

    ledger = LedgerView()
    ledger.__dict__["_configurations"] = SimpleNamespace(get=get, under_way=lambda: get("all"))
    assert [ledger.established(a_config(name=name), Claim.KEY) for name in ("acme", "globex")] == [None, None]
    assert ledger.under_way() == []
    assert asked == ["acme"]
    assert "ledger_not_asked" in caplog.text


def test_a_client_that_cannot_be_opened_is_no_reason_to_build_no_dags(monkeypatch, caplog):
    def broken(**options: object) -> Any:
        raise LookupError("no region")

    monkeypatch.setenv("AIRFLOW__DELIVERY__LEDGER_TABLE", "ledger")
    monkeypatch.setattr("client_delivery.access.aws.dynamodb_client", broken)
    assert LedgerView().under_way() == []
    assert "ledger_not_asked" in caplog.text
