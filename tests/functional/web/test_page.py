"""R10: what the Deliveries page shows, to whom, and what it does."""

from __future__ import annotations

import csv
import io
import re
import uuid
from datetime import UTC, datetime
from functools import partial
from html.parser import HTMLParser

import pytest

from client_delivery.calendar.expectation import State as Line
from client_delivery.ledger.acts import Act, Acts
from client_delivery.ledger.board import Board
from client_delivery.ledger.changes import Change, Changes, differences
from client_delivery.ledger.expectations import Expectations, Known
from client_delivery.ledger.mail_marks import MailMarks
from client_delivery.ledger.months import Months
from client_delivery.ledger.record import Request
from client_delivery.ledger.sets import FileSet, Sets
from client_delivery.ledger.table import GUARDED_BATCH, Assignment, Ledger
from client_delivery.pickup.guards import MARK
from client_delivery.transfer.contract import Receipt
from client_delivery.web.access import Dag, Happened
from tests.support.factories import RUN, a_file

OPERATOR, VIEWER, STRANGER = ({"authorization": name} for name in ("operator", "viewer", "stranger"))
OURS = {"sec-fetch-site": "same-origin"}
NASTY = [
    "<script>alert(1)</script>.csv",
    '"><img src=x onerror=alert(1)>.csv',
    "a\nb\r\nc.csv",
    "invoice\u202egpj.exe",
    "zero\u200bwidth.csv",
    "{{ 7 * 7 }}.csv",
    "=HYPERLINK(1).csv",
    "ü" * 500 + ".csv",
    "a b&c?d#e%2f.csv",
    "../../etc/passwd",
]


class Tags(HTMLParser):
    """The elements of a page, as a browser reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, list[tuple[str, str | None]]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, attrs))


def dag(name: str, key: str, *more: str, paused: bool = False) -> Dag:
    return Dag(name, frozenset({"client-delivery", key, *more}), paused, None, f"Delivers files of {key} to gs://x/")


@pytest.fixture
def key() -> str:
    return f"H{uuid.uuid4().int % 10**9:09d}"


@pytest.fixture
def ledger(dynamodb, ledger_table, key) -> Ledger:
    return Ledger(dynamodb, ledger_table, key, request=Request("kim", "month end"))


@pytest.fixture
def acme(airflow, key) -> str:
    airflow.dags_there = {"acme": dag("acme", key), "secret": dag("secret", "H999999")}
    airflow.may_read = {"operator": {"acme"}, "viewer": {"acme"}, "stranger": set()}
    airflow.may_run = {"operator": {"acme"}}
    return "acme"


def deliver(ledger: Ledger, name: str, etag: str | None = None, checksum: str = "crc32c:yZRlqg==") -> None:
    etag = etag or uuid.uuid4().hex
    ledger.add([Assignment(a_file(name, etag), etag, 0)], RUN, "acme")
    ledger.delivered(ledger.begin(ledger.find([etag])[etag], RUN), Receipt("gs://x/" + name, 10, checksum, "checksum"))


def fail(ledger: Ledger, name: str, error: str = "no route to host") -> None:
    etag = uuid.uuid4().hex
    ledger.add([Assignment(a_file(name, etag), etag, 0)], RUN, "acme")
    failed = ledger.failed(ledger.begin(ledger.find([etag])[etag], RUN), error, permanent=True)
    ledger.close([failed], RUN)


def endpoints(page) -> list[tuple[str, str]]:
    """Every route of the mounted application, as Airflow would call it."""
    (mounted,) = [route for route in page.app.routes if route.path == "/deliveries"]
    return [
        (method, "/deliveries" + route.path)
        for route in mounted.app.app.routes
        for method in route.methods - {"HEAD", "OPTIONS"}
    ]


def filled(path: str, name: str) -> str:
    values = {"name": name, "kind": "json", "action": "resend-failed"}
    if "/static/" in path:
        values["name"] = "page.css"
    return re.sub(r"{(\w+)}", lambda match: values[match[1]], path) + "?file=a.csv&run_id=r&q=a.csv"


def test_every_endpoint_asks_who_comes(page, acme):
    found = endpoints(page)
    assert len(found) == 18
    for method, path in found:
        answer = page.request(method, filled(path, acme), headers=OURS)
        assert answer.status_code == 401, path
        assert acme not in answer.text


def test_who_may_not_read_a_dag_sees_nothing_of_its_client(page, acme, ledger):
    deliver(ledger, "a.csv")
    for method, path in endpoints(page):
        answer = page.request(method, filled(path, acme), headers=STRANGER | OURS, data={"reason": "x"})
        if "{name}" in path and "static" not in path:
            assert answer.status_code == 404, path
        assert ledger.delivery_key not in answer.text, path
        assert "gs://x" not in answer.text, path
        # The same for what there is not: nobody learns which clients there are.
        if answer.status_code == 404:
            none = page.request(method, filled(path, "nobody"), headers=STRANGER | OURS, data={"reason": "x"})
            assert none.text == answer.text
    assert "H999999" not in page.get("/deliveries/", headers=OPERATOR).text


def test_who_may_not_trigger_a_dag_has_no_buttons_and_cannot_act(page, acme, ledger, airflow):
    deliver(ledger, "a.csv")
    for path in ("/deliveries/clients/acme", "/deliveries/clients/acme/file?file=a.csv"):
        assert '<button type="submit">Search' in page.get(path, headers=VIEWER).text
        assert 'method="post"' not in page.get(path, headers=VIEWER).text
        assert 'method="post"' in page.get(path, headers=OPERATOR).text
    answer = page.post(
        "/deliveries/clients/acme/actions/resend-failed", headers=VIEWER | OURS, data={"reason": "because"}
    )
    assert answer.status_code == 403
    assert airflow.triggered == []


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "cross-site", "origin": "http://airflow"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"origin": "http://airflow"}, True),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "null"}, False),
        ({}, False),
    ],
)
def test_only_the_pages_own_forms_act(page, acme, airflow, headers, accepted):
    answer = page.post(
        "/deliveries/clients/acme/actions/resend-failed", headers=OPERATOR | headers, data={"reason": "because"}
    )
    assert answer.status_code == (303 if accepted else 403)
    assert len(airflow.triggered) == accepted


def test_an_action_is_a_run_with_the_reason_as_its_note(page, acme, airflow):
    post = "/deliveries/clients/acme/actions/"
    answer = page.post(post + "resend-failed", headers=OPERATOR | OURS, data={"reason": " mended "})
    assert answer.headers["location"] == "/team/deliveries/clients/acme?triggered=manual__1"
    page.post(post + "send-now", headers=OPERATOR | OURS, data={"reason": "done file is late"})
    page.post(post + "send-again", headers=OPERATOR | OURS, data={"reason": "lost", "files": ["e1", "e2#n", "e1"]})
    page.post(post + "dismiss", headers=OPERATOR | OURS, data={"reason": "not ours", "files": "e1"})
    assert airflow.triggered == [
        ("operator", "acme", {"resend_failed": True, "reason": "Resend failed: mended"}, "Resend failed: mended"),
        (
            "operator",
            "acme",
            {"ignore_done_file": True, "reason": "Send now: done file is late"},
            "Send now: done file is late",
        ),
        (
            "operator",
            "acme",
            {"send_again": ["e1", "e2#n"], "reason": "Send again: lost"},
            "Send again: lost",
        ),
        ("operator", "acme", {"dismiss": ["e1"], "reason": "Dismiss: not ours"}, "Dismiss: not ours"),
    ]
    del airflow.triggered[:]
    answer = page.post(post + "test-destination", headers=OPERATOR | OURS, data={"reason": "new key"})
    assert answer.headers["location"].endswith("?triggered=manual__1&answer=test_destination")
    text = page.get(answer.headers["location"].removeprefix("/team"), headers=OPERATOR).text
    assert 'href="/team/dags/acme/runs/manual__1/tasks/test_destination"' in text
    assert "tasks/x" not in page.get("/deliveries/clients/acme?triggered=r&answer=x", headers=OPERATOR).text
    page.post(post + "what-would-happen", headers=OPERATOR | OURS, data={"reason": "before noon"})
    page.post(post + "let-through", headers=OPERATOR | OURS, data={"reason": "small month", "files": "e1"})
    page.post(post + "acknowledge", headers=OPERATOR | OURS, data={"reason": "they called"})
    outside = {"outside_window": "yes", "reason": "now"}
    page.post(post + "send-now", headers=OPERATOR | OURS, data=outside)
    page.post(post + "dismiss", headers=OPERATOR | OURS, data={**outside, "files": "e1"})
    assert [{**conf, "reason": None} for _, _, conf, _ in airflow.triggered] == [
        {"only_test_destination": True, "reason": None},
        {"only_plan": True, "reason": None},
        {"send_again": ["e1"], "reason": None},
        {"acknowledge_late": "they called", "reason": None},
        {"ignore_done_file": True, "ignore_window": True, "reason": None},
        {"dismiss": ["e1"], "reason": None},
    ]
    del airflow.triggered[4:]
    for action, data in (
        ("resend-failed", {"reason": "  "}),
        ("send-again", {"reason": "x"}),
        ("send-again", {"reason": "x", "files": [f"e{n}" for n in range(1001)]}),
        ("dismiss", {"reason": "x"}),
        ("dismiss", {"files": "e1"}),
        ("send-now", {"reason": "x" * 901}),
    ):
        assert page.post(post + action, headers=OPERATOR | OURS, data=data).status_code == 422
    assert page.post(post + "drop-table", headers=OPERATOR | OURS, data={"reason": "x"}).status_code == 404
    assert len(airflow.triggered) == 4


@pytest.mark.parametrize("name", NASTY)
def test_a_name_is_shown_and_never_obeyed(page, acme, ledger, name):
    deliver(ledger, name, checksum=f"crc32c:{uuid.uuid4().hex}")
    for path, params in (
        ("/deliveries/clients/acme", {}),
        ("/deliveries/clients/acme/file", {"file": name}),
        ("/deliveries/", {"q": name}),
    ):
        answer = page.get(path, headers=OPERATOR, params=params)
        assert answer.status_code == 200, path
        assert "gs://x/" in answer.text, path
        tags = Tags()
        tags.feed(answer.text)
        assert [tag for tag in tags.found if tag[0] in ("script", "img", "iframe")] == [
            ("script", [("src", "/team/deliveries/static/page.js")])
        ]
        assert not [name for _, attributes in tags.found for name, _ in attributes if name.startswith("on")]
        for bad in "\u202e\u200b\r":
            assert bad not in re.sub(r'value="[^"]*"', "", answer.text)
        assert "49.csv" not in answer.text
    (link,) = set(
        re.findall(
            r'href="/team(/deliveries/clients/acme/file\?[^"]+)"',
            page.get("/deliveries/clients/acme", headers=OPERATOR).text,
        )
    )
    assert page.get(link.replace("&amp;", "&"), headers=OPERATOR).status_code == 200, "the link leads to the file"
    table = page.get("/deliveries/clients/acme/files.csv", headers=OPERATOR).text
    for cell in next(row for row in csv.reader(io.StringIO(table.lstrip("\ufeff"))) if "success" in row):
        assert cell[:1] not in {"=", "+", "@"}


def test_a_question_about_a_file_is_answered_by_one_search(page, acme, ledger):
    deliver(ledger, "in/March 2026.csv", checksum="crc32c:march1==")
    for words in ("march 2026.csv", "crc32c:march1==", "march1=="):
        text = page.get("/deliveries/", headers=VIEWER, params={"q": words}).text
        assert "in/March 2026.csv" in text
        assert "gs://x/in/March 2026.csv" in text
        assert "kim: month end" in re.sub("<[^>]*>", "", text)
    assert page.get("/deliveries/search.json", headers=VIEWER, params={"q": "march1=="}).json()[0]["askedBy"] == "kim"
    assert "acme" in page.get("/deliveries/", headers=VIEWER, params={"q": ledger.delivery_key.lower()}).text


def test_the_board_says_who_needs_a_person_and_why(page, airflow, dynamodb, ledger_table):
    board, facts = Board(dynamodb, ledger_table), {"deliveryKey": "H1", "destination": "gs://x/"}
    run = {"run": "acme/one"}
    names = ["b_held", "b_late", "b_wrong", "b_red", "b_calm", "b_busy", "b_paused", "b_frozen", "b_gone", "b_off"]
    airflow.dags_there = {name: dag(name, "H1") for name in names}
    airflow.dags_there["b_wrong"] = dag("b_wrong", "H1", "config-error")
    airflow.dags_there["b_paused"] = dag("b_paused", "H1", paused=True)
    airflow.dags_there["b_frozen"] = dag("b_frozen", "H1", paused=True)
    airflow.dags_there["b_gone"] = dag("b_gone", "H1", "removed")
    airflow.dags_there["b_off"] = dag("b_off", "H1", "paused")
    for name in ("b_frozen", "b_gone"):
        board.begun(name, facts, run="one", files=1, size=2048)
    airflow.may_read = {"viewer": set(names)}
    board.begun("b_busy", facts, run="one", files=3, size=2048)
    board.ended("b_held", **run, last_file="ok.csv", held=[("bad.csv", "login refused")])
    board.ended("b_calm", **run, last_file="ok.csv", held=[])
    board.troubled("b_red", facts, task="register_files", run="b_red/one")
    board.begun("b_late", {**facts, "expectedEveryDays": 1}, run="one", files=1, size=1)
    board.ended("b_late", **run, last_file="old.csv", held=[])
    dynamodb.update_item(
        TableName=ledger_table,
        Key={"clientHNumber": {"S": "board"}, "etag": {"S": "b_late"}},
        UpdateExpression="SET lastDelivery = :old",
        ExpressionAttributeValues={":old": {"S": "2026-01-01T00:00:00.000Z"}},
    )
    found = {row["configuration"]: row for row in page.get("/deliveries/board.json", headers=VIEWER).json()}
    assert {name: row["state"] for name, row in found.items()} == {
        "b_wrong": "wrong configuration",
        "b_red": "red",
        "b_held": "held",
        "b_late": "overdue",
        "b_busy": "under way",
        "b_paused": "paused",
        "b_frozen": "frozen",
        "b_gone": "under way",
        "b_off": "paused",
        "b_calm": "calm",
    }
    assert list(found)[:5] == ["b_wrong", "b_red", "b_frozen", "b_held", "b_late"]
    assert "1 file, 2.0 KiB, since" in found["b_frozen"]["sentence"]
    assert "removed: the run ends as it began" in found["b_gone"]["sentence"]
    assert "in its configuration" in found["b_off"]["sentence"]
    board.ended("b_frozen", **run, last_file=None, held=[])
    assert "login refused" in found["b_held"]["sentence"]
    needs = page.get("/deliveries/board.json?show=needs", headers=VIEWER).json()
    assert {row["configuration"] for row in needs} == {"b_wrong", "b_red", "b_held", "b_late"}
    # What else needs somebody, and each thing that is the matter.
    board.is_hindered("b_busy", "no room in ECS")
    board.wanted("b_calm", facts, ["march.csv"])
    board.wanted("b_held", facts, ["march.csv"])
    found = {row["configuration"]: row for row in page.get("/deliveries/board.json?show=needs", headers=VIEWER).json()}
    assert found["b_busy"]["sentence"].endswith("no room in ECS.")
    assert found["b_calm"]["state"] == "dropped again?"
    assert "login refused. Asked for" in found["b_held"]["sentence"]
    assert "march.csv. Ask the sender to drop it again." in found["b_held"]["sentence"]
    board.ended("b_busy", **run, last_file=None, held=[])
    board.satisfied("b_calm", ["march.csv"])
    board.satisfied("b_held", ["march.csv"])
    # It stays until it is solved, whatever colour the last run has.
    board.looked("b_held", facts, [("bad.csv", "login refused")])
    assert board.of("b_held").held == 1
    since = board.of("b_held").held_since
    board.looked("b_held", facts, [("bad.csv", "login refused"), ("worse.csv", "login refused")])
    assert (board.of("b_held").held, board.of("b_held").held_since) == (2, since)
    board.looked("b_held", facts, [])
    board.looked("b_red", facts, [])
    needs = page.get("/deliveries/board.json?show=needs", headers=VIEWER).json()
    assert {row["configuration"] for row in needs} == {"b_wrong", "b_late"}
    html = page.get("/deliveries/?show=needs", headers=VIEWER).text
    assert "Needs a person: 2" in html


def test_a_client_whose_runs_start_on_arrival_is_shown_to_be_looked_at(page, airflow, acme, key):
    airflow.dags_there["acme"] = dag("acme", key, "on-arrival")
    assert (
        "every 45 s for new arrivals, and by schedule at" in page.get("/deliveries/clients/acme", headers=VIEWER).text
    )
    assert "on arrival, and" in page.get("/deliveries/", headers=VIEWER).text
    [row] = page.get("/deliveries/board.json", headers=VIEWER).json()
    assert row["onArrival"] is True
    airflow.dags_there["acme"] = dag("acme", key, "on-arrival", paused=True)
    assert "on arrival, and" not in page.get("/deliveries/", headers=VIEWER).text


def test_a_clients_files_by_time_status_and_name(page, acme, ledger):
    for n in range(3):
        deliver(ledger, f"claims_{n}.csv")
    fail(ledger, "other.csv")
    get = lambda **params: [  # noqa: E731
        row["fileName"] for row in page.get("/deliveries/clients/acme/files.json", headers=VIEWER, params=params).json()
    ]
    assert get() == ["other.csv", "claims_2.csv", "claims_1.csv", "claims_0.csv"]
    assert get(status="fail") == ["other.csv"]
    assert get(begins="claims_") == ["claims_0.csv", "claims_1.csv", "claims_2.csv"]
    assert get(since="2020-01-01", until="2021-01-01") == []
    html = page.get("/deliveries/clients/acme", headers=VIEWER).text
    assert "no route to host" in html
    assert "<h2>Held</h2>" in html
    assert page.get("/deliveries/clients/acme?status=drop", headers=VIEWER).status_code == 422


def test_a_files_life_is_told_in_order(page, acme, ledger):
    deliver(ledger, "life.csv", "e1")
    ledger.close(list(ledger.find(["e1"]).values()), RUN)
    from client_delivery.ledger.entry import Status

    ledger.rearm([Assignment(a_file("life.csv", "e1"), "e1", 0)], RUN, "acme", [Status.SUCCESS])
    ledger.failed(ledger.begin(ledger.find(["e1"])["e1"], RUN), "disk full", permanent=True)
    text = page.get("/deliveries/clients/acme/file?file=life.csv", headers=VIEWER).text
    told = re.findall(r'<span class="state \w+">([^<]+)</span>', text)
    assert told == [
        "put into the pick-up",
        "registered",
        "set to be sent",
        "attempt 1 began",
        "delivered",
        "set to be sent",
        "attempt 1 began",
        "failed for good",
    ]
    assert "asked for by kim: month end" in text
    assert "disk full" in text
    assert page.get("/deliveries/clients/acme/file?file=never.csv", headers=VIEWER).status_code == 404


def test_a_held_file_is_chosen_and_dismissed(page, acme, ledger):
    fail(ledger, "bad.csv", "login refused")
    text = page.get("/deliveries/clients/acme", headers=OPERATOR).text
    (entry,) = ledger.held_entries()
    assert f'id="held-1" name="files" value="{entry.identity}" aria-label="bad.csv"' in text
    assert "checkbox" not in page.get("/deliveries/clients/acme", headers=VIEWER).text
    ledger.dismiss([entry], RUN)
    text = page.get("/deliveries/clients/acme", headers=VIEWER).text
    assert "<h2>Held</h2>" not in text
    assert re.findall(r'<span class="state \w+">([^<]+)</span>', text)[1:] == ["dismissed", "failed"]
    life = page.get("/deliveries/clients/acme/file?file=bad.csv", headers=VIEWER).text
    assert told_of(life)[-2:] == ["failed for good", "dismissed"]
    assert "asked for by kim: month end" in life


def test_what_a_guard_holds_is_let_through_or_dismissed(page, acme, ledger):
    empty = Assignment(a_file("empty.csv", "empty"), "empty", GUARDED_BATCH)
    ledger.hold([empty], {"empty": f"{MARK}the file is empty (guards.not_empty)."}, RUN, "acme")
    ledger.close(list(ledger.find(["empty"]).values()), RUN)
    fail(ledger, "bad.csv", "login refused")
    text = page.get("/deliveries/clients/acme", headers=OPERATOR).text
    guarded = text[text.index("<h2>Held by a guard</h2>") : text.index("<h2>Actions</h2>")]
    assert 'aria-label="empty.csv"' in guarded
    assert 'aria-label="bad.csv"' not in guarded
    assert 'formaction="/team/deliveries/clients/acme/actions/let-through"' in guarded
    for name, verb in (("empty.csv", "let-through"), ("bad.csv", "send-again")):
        life = page.get("/deliveries/clients/acme/file", params={"file": name}, headers=OPERATOR).text
        assert f'action="/team/deliveries/clients/acme/actions/{verb}"' in life
        assert told_of(life)[-1] == ("held by a guard" if verb == "let-through" else "held in the pick-up")


def test_what_is_expected_is_shown_and_acknowledged(page, acme, ledger, dynamodb, ledger_table):
    kept = Expectations(dynamodb, ledger_table, ledger.delivery_key)
    line = "elig_*|<b>.csv|1|America/New_York|monthly, business day 5, 18:00"
    due = datetime(2026, 3, 6, 23, tzinfo=UTC)
    late = Line(since=due, due=due, missing=True)
    kept.keep(Known(), due, {line: late}, {line: datetime(2026, 4, 7, 22, tzinfo=UTC)})
    text = page.get("/deliveries/clients/acme", headers=OPERATOR).text
    assert "1 file like elig_*|&lt;b&gt;.csv by monthly, business day 5, 18:00 (America/New_York)" in text
    assert "2026-03-06 23:00" in text
    assert "2026-04-07 22:00" in text
    assert "not yet" in text
    assert "actions/acknowledge" in text
    assert "actions/acknowledge" not in page.get("/deliveries/clients/acme", headers=VIEWER).text
    assert page.get("/deliveries/clients/acme/expected.json", headers=VIEWER).json() == [
        {
            "expected": "1 file like elig_*|<b>.csv by monthly, business day 5, 18:00 (America/New_York)",
            "lastDue": "2026-03-06T23:00:00+00:00",
            "nextDue": "2026-04-07T22:00:00+00:00",
            "late": True,
            "acknowledged": False,
        }
    ]
    before = kept.known()
    assert kept.keep(before, due, {line: late.acknowledge()})
    assert kept.known().upcoming == before.upcoming, "who acknowledges does not forget when it is due next"
    text = page.get("/deliveries/clients/acme", headers=OPERATOR).text
    assert "</span> (acknowledged)" in text
    assert "actions/acknowledge" not in text


def alone(airflow, key: str) -> str:
    """A configuration that no other test knows: what is kept by its name is this test's."""
    name = f"c_{key.lower()}"
    airflow.dags_there = {name: dag(name, key)}
    airflow.may_read = {"operator": {name}, "viewer": {name}}
    airflow.may_run = {"operator": {name}}
    return name


def test_a_window_may_be_disregarded_where_there_is_one(page, airflow, key, ledger, dynamodb, ledger_table):
    name = alone(airflow, key)
    deliver(ledger, "a.csv")
    paths = (
        f"/deliveries/clients/{name}",
        f"/deliveries/clients/{name}/file?file=a.csv",
        f"/deliveries/clients/{name}/again?begins=a",
    )
    for path in paths:
        assert "outside_window" not in page.get(path, headers=OPERATOR).text
    Board(dynamodb, ledger_table).looked(name, {"window": "06:00 to 22:00 (Europe/Berlin)"}, [])
    for path in paths:
        text = page.get(path, headers=OPERATOR).text
        assert 'name="outside_window" value="yes"> Also send outside the window' in text
        assert "06:00 to 22:00 (Europe/Berlin)" in text


def test_a_configurations_changes_are_shown_page_by_page(page, airflow, key, dynamodb, ledger_table):
    name = alone(airflow, key)
    changes = Changes(dynamodb, ledger_table)
    for number in range(23):
        told = differences({"schedule": None}, {"schedule": f"{number} * * * *", "pickup": {"prefix": "<b>/"}})
        at = f"2026-03-01T12:{number:02d}:00.000Z"
        changes.note(name, Change(at, f"{name}/r{number}/0", told if number else ()), 9999)
        if number == 7:  # its task died, and was tried again
            changes.note(name, Change(f"{at[:-5]}.500Z", f"{name}/r{number}/0", told), 9999)
    text = page.get(f"/deliveries/clients/{name}/about", headers=VIEWER).text
    assert "<code>schedule</code>: <bdi>null</bdi> → <bdi>&#34;22 * * * *&#34;</bdi>" in text
    assert "<code>pickup.prefix</code>: <bdi>the default</bdi> → <bdi>&#34;&lt;b&gt;/&#34;</bdi>" in text
    (older,) = re.findall(r'href="(\?after=[^"]+)#changes"', text)
    rest = page.get(f"/deliveries/clients/{name}/about" + older.replace("&amp;", "&"), headers=VIEWER).text
    runs = [re.findall(r"/runs/(r\d+)", one[one.index('id="changes"') :]) for one in (text, rest)]
    assert [*runs[0], *runs[1]] == [f"r{number}" for number in range(22, -1, -1)]
    assert "the first configuration" in rest
    table = page.get(f"/deliveries/clients/{name}/changes.json", headers=VIEWER)
    assert table.json()[0] == {
        "at": "2026-03-01T12:22:00.000Z",
        "run": f"{name}/r22/0",
        "field": "pickup.prefix",
        "before": None,
        "after": '"<b>/"',
    }
    assert table.headers["x-next"] == older[1:]


def test_two_configurations_are_told_apart_field_by_field():
    long = "x" * 400
    before = {
        "a": 1,
        "gone": [1],
        "deep": {"same": 2, "other": "p"},
        "long": long + "1",
        "guards": {},
        "of": [{"b": 1}],
    }
    after = {"a": 1, "deep": {"same": 2, "other": "q"}, "long": long + "2", "guards": {"x": True}, "of": [{"b": 2}]}
    told = {one.field: (one.before, one.after) for one in differences(before, after)}
    assert told.pop("long")[0].endswith("…")
    assert told == {
        "gone": ("[1]", None),
        "deep.other": ('"p"', '"q"'),
        "guards": ("{}", None),
        "guards.x": (None, "true"),
        "of[1].b": ("1", "2"),
    }
    assert differences(after, after) == []


@pytest.mark.parametrize(
    "path",
    [
        "/deliveries/board",
        "/deliveries/search",
        "/deliveries/clients/acme/files",
        "/deliveries/clients/acme/months",
        "/deliveries/clients/acme/people",
        "/deliveries/clients/acme/expected",
        "/deliveries/clients/acme/changes",
        "/deliveries/clients/acme/life",
        "/deliveries/runs/acme/files",
    ],
)
def test_what_is_shown_can_be_taken_along(page, acme, ledger, path):
    deliver(ledger, "a.csv")
    query = {"file": "a.csv", "run_id": RUN.run_id, "q": "a.csv"}
    rows = page.get(f"{path}.json", headers=VIEWER, params=query).json()
    text = page.get(f"{path}.csv", headers=VIEWER, params=query)
    assert text.headers["content-type"] == "text/csv; charset=utf-8"
    assert len(list(csv.reader(io.StringIO(text.text.lstrip("\ufeff"))))[1:]) == len(rows)
    assert page.get(f"{path}.exe", headers=VIEWER, params=query).status_code == 404


def told_of(text: str) -> list[str]:
    timeline = text[text.index('<ol class="timeline">') :]
    return re.findall(r'<span class="state \w+">([^<]+)</span>', timeline)


def test_a_files_life_has_every_attempt_its_mails_and_its_end_in_the_pickup(page, acme, ledger, dynamodb, ledger_table):
    ledger.add([Assignment(a_file("slow.csv", "slow"), "slow", 0)], RUN, "acme")
    for reason in ("no route to host", "connection reset"):
        ledger.failed(ledger.begin(ledger.find(["slow"])["slow"], RUN), reason)
    done = ledger.delivered(
        ledger.begin(ledger.find(["slow"])["slow"], RUN), Receipt("gs://x/slow.csv", 10, "c:1", "x")
    )
    ledger.close([done], RUN)
    MailMarks(dynamodb, ledger_table, ledger.delivery_key).claim("finished", RUN, ["kim@example.org"])
    ledger.removed([done], lambda _: "s3://pickup/kept/slow.csv")
    ledger.want(ledger.find(["slow"]).values(), RUN)
    text = page.get("/deliveries/clients/acme/file?file=slow.csv", headers=VIEWER).text
    assert told_of(text) == [
        "put into the pick-up",
        "registered",
        "set to be sent",
        "attempt 1 began",
        "attempt 1 failed",
        "attempt 2 began",
        "attempt 2 failed",
        "attempt 3 began",
        "delivered",
        "e-mail &#39;Job finished&#39;",
        "archived",
        "waits to be dropped again",
    ]
    for detail in ("no route to host", "connection reset", "kim@example.org", "kept in s3://pickup/kept/slow.csv"):
        assert detail in text


def test_what_is_sent_again_of_a_run_or_a_period_is_shown_before(page, acme, ledger):
    deliver(ledger, "march.csv", "old")
    deliver(ledger, "march.csv", "new")
    deliver(ledger, "other.csv", "other")
    ledger.manifest.note(RUN.run_id, {0: ["old", "new"], 1: ["other"], "held": ["not-sent"]})
    ledger.close(list(ledger.find(["old", "new", "other"]).values()), RUN)
    chosen = lambda **params: re.findall(  # noqa: E731
        r'name="files" value="([^"]+)"',
        page.get("/deliveries/clients/acme/again", headers=OPERATOR, params=params).text,
    )
    assert chosen(begins="march") == ["new"], "of one name the newest: they would arrive in each other's place"
    assert chosen(since="2020-01-01") == ["new", "other"]
    assert chosen(since="2020-01-01", until="2020-02-01") == []
    assert chosen(run_id=RUN.run_id) == ["new", "other"]
    assert page.get("/deliveries/clients/acme/again", headers=OPERATOR).status_code == 422, (
        "never everything by mistake"
    )
    assert page.get("/deliveries/clients/acme/again?since=2020", headers=VIEWER).status_code == 403


def test_a_long_transfer_says_how_far_it_is(page, acme, ledger, dynamodb, ledger_table):
    ledger.add([Assignment(a_file("big.bin", "big", size=1000), "big", 0)], RUN, "acme")
    begun = ledger.begin(ledger.find(["big"])["big"], RUN)
    ledger.checkpoint(begun, {"upload_id": "u", "part_size": 100, "etag": "big", "runs": [[1, 1, digest(100)]]})
    again = ledger.begin(ledger.find(["big"])["big"], RUN)
    assert again.attempt_began_with == 100
    ledger.checkpoint(
        again, {"part": "p", "etag": "big", "lanes": [[0, 600, digest(9), digest(300)], [600, 1000, digest(50)]]}
    )
    dynamodb.update_item(
        TableName=ledger_table,
        Key={"clientHNumber": {"S": ledger.delivery_key}, "etag": {"S": "big"}},
        UpdateExpression="SET attemptStartedAt = :begin, #t = :now",
        ExpressionAttributeNames={"#t": "timestamp"},
        ExpressionAttributeValues={
            ":begin": {"S": "2026-03-01T12:00:00.000Z"},
            ":now": {"S": "2026-03-01T12:00:05.000Z"},
        },
    )
    for path in ("/deliveries/clients/acme", "/deliveries/clients/acme/file?file=big.bin"):
        text = page.get(path, headers=VIEWER).text
        assert "35 %, 350 bytes of 1000 bytes, 50 bytes/s, 13 s left" in text, path
        assert 'id="under-way" data-live' in text, "the page looks again by itself"
    assert "35 %" in page.get("/deliveries/runs/acme", params={"run_id": RUN.run_id}, headers=VIEWER).text


def test_months_are_counted_by_runs(page, acme, ledger, dynamodb, ledger_table):
    months = Months(dynamodb, ledger_table)
    this = datetime.now(UTC)
    note = partial(months.note, ledger.delivery_key, keep_days=30)
    for _ in range(2):  # a task that is tried again
        note("acme/one/0", began=f"{this:%Y-%m}-01T00:00:00.000Z", files=3, size=2048, failed=1, late=False)
    note("acme/two/0", began=f"{this:%Y-%m}-01T00:00:00.000Z", files=1, size=1024, failed=0, late=True)
    note("acme/old/0", began="2019-03-01T00:00:00.000Z", files=9, size=9, failed=0, late=None)
    (month,) = months.of(ledger.delivery_key, "2019-04")
    assert (month.runs, month.files, month.size, month.failed, month.late, month.on_time) == (2, 4, 3072, 1, 1, 1)
    assert [one.month for one in months.of(ledger.delivery_key, "2019")] == [f"{this:%Y-%m}", "2019-03"]
    text = page.get("/deliveries/clients/acme/about", headers=VIEWER).text
    assert "late 1 of 2 times" in text
    assert "3.0 KiB" in text
    assert "2019-03" not in text


def test_who_did_what_is_told_with_what_airflow_knows_besides(page, acme, airflow, ledger, dynamodb, ledger_table):
    acts, key = Acts(dynamodb, ledger_table), ledger.delivery_key
    acts.note(key, Act("2026-03-01T12:00:05.000Z", "triggered a run", "acme/m1/0", "olga", "month end"), 9999)
    acts.note(key, Act("2026-03-01T12:00:09.000Z", "triggered a run", "acme/m1/0", "olga", "month end"), 9999)
    acts.note(key, Act("2026-03-01T13:00:05.000Z", "cleared a run", "acme/s1/1", None, None), 9999)
    airflow.happened = [
        Happened("2026-03-01T14:00:00+00:00", "paused or unpaused the DAG", "", "kim"),
        Happened("2026-03-01T13:00:00+00:00", "cleared a run", "s1", "<b>ann</b>"),
        Happened("2026-03-01T12:00:00+00:00", "triggered a run", "", "olga"),
    ]
    text = page.get("/deliveries/clients/acme/about", headers=VIEWER).text
    table = text[text.index("<h2>People</h2>") : text.index("<h2>Configuration</h2>")]
    rows = [re.sub("<[^>]*>|\\s+", " ", row).split() for row in table.split("<tr>")[2:]]
    assert [row[1] for row in rows] == ["14:00", "13:00", "12:00"]
    assert [row[2] for row in rows] == ["kim", "&lt;b&gt;ann&lt;/b&gt;", "olga"]
    assert "month end" in table


def test_the_configuration_is_told_in_words_and_nothing_in_it_is_obeyed(page, acme, airflow):
    airflow.documentation = (
        "Delivers. [History](dags/acme/plugin/x): every file.\n\n| | |\n|---|---|\n| Pick-up | s3://b/<img src=x> |\n\n"
        "[click](javascript:alert(1)) <script>alert(1)</script> ![x](http://evil.example/x.png)"
    )
    text = page.get("/deliveries/clients/acme/about", headers=VIEWER).text
    words = text[text.index('<div class="words">') : text.index('<h2 id="changes">')]
    assert "<td>s3://b/&lt;img src=x&gt;</td>" in words
    assert "History" not in words
    tags = Tags()
    tags.feed(words)
    assert not [tag for tag in tags.found if tag[0] in ("a", "img", "script")]


def test_pausing_never_freezes_what_is_under_way(page, acme, airflow, ledger, dynamodb, ledger_table):
    post = "/deliveries/clients/acme/actions/"
    ledger.add([Assignment(a_file("big.bin", "big", size=2048), "big", 0)], RUN, "acme")
    airflow.under_way = 1
    refused = page.post(post + "pause", headers=OPERATOR | OURS, data={"reason": "holiday"})
    assert refused.status_code == 409
    assert "A run is under way and has 2.0 KiB in hand" in refused.text
    airflow.under_way = 0
    assert page.post(post + "pause", headers=VIEWER | OURS, data={"reason": "holiday"}).status_code == 403
    assert page.post(post + "pause", headers=OPERATOR | OURS, data={}).status_code == 422
    assert page.post(post + "pause", headers=OPERATOR | OURS, data={"reason": "holiday"}).status_code == 303
    assert page.post(post + "unpause", headers=OPERATOR | OURS, data={"reason": "back"}).status_code == 303
    assert airflow.pauses == [("operator", "acme", True), ("operator", "acme", False)]
    text = page.get("/deliveries/clients/acme/about", headers=VIEWER).text
    assert "holiday" in text
    assert "actions/pause" not in text
    assert "actions/pause" in page.get("/deliveries/clients/acme/about", headers=OPERATOR).text


def test_what_was_delivered_before_the_record_is_shown_as_far_as_it_is_known(
    page, acme, ledger, dynamodb, ledger_table
):
    deliver(ledger, "new.csv", "new")
    deliver(ledger, "old.csv", "old")
    ledger.close(list(ledger.find(["old", "new"]).values()), RUN)
    for attributes in ("recordDays", "createdAt", "armedAt", "askedBy", "askedWhy"):
        dynamodb.update_item(
            TableName=ledger_table,
            Key={"clientHNumber": {"S": ledger.delivery_key}, "etag": {"S": "old"}},
            UpdateExpression=f"REMOVE {attributes}",
        )
    text = page.get("/deliveries/clients/acme/before", headers=VIEWER).text
    assert "gs://x/old.csv" in text
    assert "new.csv" not in text
    (link,) = re.findall(r'href="/team(/deliveries/clients/acme/file\?[^"]+)"', text)
    life = page.get(link.replace("&amp;", "&"), headers=OPERATOR).text
    assert "delivered, or closed after it" in life
    assert 'name="files" value="old"' in life, "it can be sent again"


def digest(size: int) -> dict[str, object]:
    return {"size": size, "values": {"crc32c": 0}, "own": "crc32c"}


def test_a_run_shows_its_files(page, acme, ledger):
    deliver(ledger, "mine.csv")
    text = page.get("/deliveries/runs/acme", params={"run_id": RUN.run_id}, headers=VIEWER).text
    assert "mine.csv" in text
    assert "mine.csv" not in page.get("/deliveries/runs/acme?run_id=other", headers=VIEWER).text


def test_a_run_shows_its_set(page, acme, ledger, dynamodb, ledger_table):
    deliver(ledger, "mine.csv", "mine")
    sent = ledger.find(["mine"])["mine"]
    dynamodb.update_item(
        TableName=ledger_table,
        Key={"clientHNumber": {"S": ledger.delivery_key}, "etag": {"S": "mine"}},
        UpdateExpression="SET setId = :set",
        ExpressionAttributeValues={":set": {"S": "acme/run/0"}},
    )
    sets = Sets(dynamodb, ledger_table, sent.bucket, sent.key.removesuffix("mine.csv"))
    sets.seal(FileSet("acme/run/0", "H1234 <b>.complete", "json", None))

    def shown() -> str:
        text = page.get("/deliveries/runs/acme", params={"run_id": RUN.run_id}, headers=VIEWER).text
        (found,) = re.findall(r'<p class="set">(.*?)</p>', text, re.DOTALL)
        return re.sub(r"\s+", " ", found)

    assert "H1234 &lt;b&gt;.complete" in shown()
    assert "not all files of the set have arrived" in shown()
    sets.mark_due(["acme/run/0"], "the server's disk is full")
    assert "the server&#39;s disk is full" in shown()
    sets.completed("acme/run/0", "s3://there/H1234.complete", "crc32c:AAAA")
    sets.settled("acme/run/0")
    assert "delivered</span>" in shown()
    assert "s3://there/H1234.complete" in shown()
    assert "disk is full" not in shown()


def test_pages_allow_nothing_from_elsewhere(page, acme):
    for path in ("/deliveries/", "/deliveries/clients/acme", "/deliveries/static/page.js", "/deliveries/nothing"):
        answer = page.get(path, headers=VIEWER)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "style=" not in answer.text
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
