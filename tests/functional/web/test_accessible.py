"""R10: axe-core finds nothing to complain about on any page, in both themes; what all pages may show is there."""

from __future__ import annotations

import shutil
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import uvicorn
from fastapi import FastAPI
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from client_delivery.calendar.expectation import State
from client_delivery.ledger.acts import Act, Acts
from client_delivery.ledger.board import Board
from client_delivery.ledger.changes import Change, Changes, differences
from client_delivery.ledger.expectations import Expectations, Known
from client_delivery.ledger.months import Months
from client_delivery.ledger.record import Request
from client_delivery.ledger.table import GUARDED_BATCH, Assignment, Ledger
from client_delivery.web.application import application
from client_delivery.web.data import Data
from local.ports import free_port
from local.process import ROOT
from local.wait import wait_until
from tests.functional.web.test_page import alone, deliver, fail
from tests.support.factories import RUN, a_file

pytestmark = pytest.mark.slow
AXE = ROOT / "tests" / "browser" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
LATE = "elig_*.csv|1|America/New_York|monthly, business day 5, 18:00"
PAGES = {
    "the board": "/",
    "a search that finds a file": "/?q=march 2026.csv",
    "a search that finds nothing": "/?q=csv&show=needs",
    "a client": "/clients/{}",
    "a client after a question": "/clients/{}?triggered=r1&answer=say_plan",
    "months, people, configuration": "/clients/{}/about",
    "a held file": "/clients/{}/file?file=bad.csv",
    "a file that a guard holds": "/clients/{}/file?file=empty.csv",
    "a file under way": "/clients/{}/file?file=big.bin",
    "a run": f"/runs/{{}}?run_id={RUN.run_id}",
    "a run without files": "/runs/{}?run_id=x",
    "what would be sent again": "/clients/{}/again?begins=m",
    "nothing to send again": "/clients/{}/again?begins=zz",
    "before the record": "/clients/{}/before",
    "a refusal": "/clients/nobody",
}


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver and AXE.exists()):
        pytest.skip("chromium, chromedriver or axe-core (make setup) is missing: nothing judges the pages")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1400,1900"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=Service(driver))
    yield browser
    browser.quit()


@pytest.fixture
def site(airflow, dynamodb, ledger_table) -> Iterator[tuple[str, str]]:
    """A client that has everything, and the address of its page."""
    key = f"H{uuid.uuid4().int % 10**9:09d}"
    name = alone(airflow, key)

    async def operator(_: object) -> str:
        return "operator"

    airflow.user = operator
    airflow.documentation = "Delivers.\n\n| | |\n|---|---|\n| Pick-up | s3://example-pickup/x/ |"
    fill(Ledger(dynamodb, ledger_table, key, request=Request("kim", "month end")), name)
    fill_tables(dynamodb, ledger_table, key, name)
    root = FastAPI()
    root.mount("/deliveries", application(airflow, lambda: Data(dynamodb, ledger_table, 30)))
    server = uvicorn.Server(uvicorn.Config(root, port=(port := free_port()), log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started, "the page is served", seconds=30)
    yield f"http://127.0.0.1:{port}/deliveries", name
    server.should_exit = True
    thread.join(30)


def fill(ledger: Ledger, name: str) -> None:
    deliver(ledger, "march 2026.csv")
    fail(ledger, "bad.csv", "login refused")
    empty = Assignment(a_file("empty.csv", "empty"), "empty", GUARDED_BATCH)
    ledger.hold([empty], {"empty": "Held by a guard: the file is empty (guards.not_empty)."}, RUN, name)
    ledger.close(list(ledger.find(["empty"]).values()), RUN)
    ledger.add([Assignment(a_file("big.bin", "big", size=1000), "big", 0)], RUN, name)
    sums = {"size": 100, "values": {"crc32c": 0}, "own": "crc32c"}
    resume = {"upload_id": "u", "part_size": 100, "etag": "big", "runs": [[1, 1, sums]]}
    ledger.checkpoint(ledger.begin(ledger.find(["big"])["big"], RUN), resume)


def fill_tables(dynamodb, table: str, key: str, name: str) -> None:
    due = State(since=(then := datetime(2026, 3, 6, 23, tzinfo=UTC)), due=then, missing=True)
    Expectations(dynamodb, table, key).keep(Known(), then, {LATE: due}, {LATE: then.replace(month=4)})
    facts = {"deliveryKey": key, "destination": "gs://example/", "window": "06:00 to 22:00 (Europe/Berlin)"}
    Board(dynamodb, table).expects(name, facts, ["1 file like elig_*.csv"])
    Board(dynamodb, table).looked(name, facts, [("bad.csv", "login refused")])
    change = Change("2026-03-01T12:00:00.000Z", f"{name}/r1/0")
    changed = replace(change, at="2026-03-02T12:00:00.000Z", run=f"{name}/r2/0", differences=differences({}, {"a": 1}))
    for one in (change, changed):
        Changes(dynamodb, table).note(name, one, 999)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    months = Months(dynamodb, table)
    months.note(key, f"{name}/r1/0", began=now, files=3, size=2048, failed=1, late=True, keep_days=30)
    Acts(dynamodb, table).note(key, Act(now, "triggered a run", f"{name}/r1/0", "olga", "month end"), 30)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_r10_axe_finds_nothing_to_complain_about_on_any_page(browser, site, theme):
    base, name = site
    browser.get(f"{base}/")
    browser.execute_script("localStorage.setItem('theme', arguments[0])", theme)
    found = {}
    for page, path in PAGES.items():
        browser.get(base + path.format(name))
        assert browser.execute_script("return document.documentElement.dataset.theme") == theme
        assert browser.find_element("tag name", "h1").text
        browser.execute_script(AXE.read_text())
        found[page] = browser.execute_async_script(
            "var done = arguments[arguments.length - 1]; axe.run(document, {resultTypes: ['violations']})"
            ".then(function (result) { done(result.violations.map(function (one) {"
            " return one.id + ': ' + one.nodes.map(function (node) { return node.html; }).join(' | '); })); });"
        )
    assert {page: violations for page, violations in found.items() if violations} == {}
