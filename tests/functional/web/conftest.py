"""The page's application on a ledger of its own, with an Airflow that knows who may what."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.testclient import TestClient

from client_delivery.web.access import Dag, Happened
from client_delivery.web.application import application
from client_delivery.web.data import Data


@dataclass
class FakeAirflow:
    """What the auth manager says, by the name in the ``authorization`` header."""

    dags_there: dict[str, Dag] = field(default_factory=dict)
    may_read: dict[str, set[str]] = field(default_factory=dict)
    may_run: dict[str, set[str]] = field(default_factory=dict)
    pauses: list[tuple[str, str, bool]] = field(default_factory=list)
    under_way: int = 0
    documentation: str = ""
    happened: list[Happened] = field(default_factory=list)
    triggered: list[tuple[str, str, dict[str, Any], str]] = field(default_factory=list)

    async def user(self, request: Request) -> str:
        name = request.headers.get("authorization", "")
        if name not in self.may_read:
            raise HTTPException(401, "Not authenticated")
        return name

    def dags(self, user: str, *, only: Collection[str] | None = None) -> dict[str, Dag]:
        return {
            name: dag
            for name, dag in self.dags_there.items()
            if name in self.may_read[user] and (only is None or name in only)
        }

    def may_trigger(self, user: str, dag_id: str) -> bool:
        return dag_id in self.may_run.get(user, ())

    def may_pause(self, user: str, dag_id: str) -> bool:
        return dag_id in self.may_run.get(user, ())

    def name_of(self, user: str) -> str:
        return user

    async def pause(self, request: Request, dag_id: str, *, paused: bool) -> None:
        self.pauses.append((request.headers["authorization"], dag_id, paused))

    async def runs_under_way(self, request: Request, dag_id: str) -> int:
        return self.under_way

    async def words(self, request: Request, dag_id: str) -> str:
        return self.documentation

    async def events(self, request: Request, dag_id: str) -> list[Happened]:
        return self.happened

    async def trigger(self, request: Request, dag_id: str, conf: dict[str, Any], note: str) -> str:
        assert request.scope["airflow_app"] is not None
        self.triggered.append((request.headers["authorization"], dag_id, conf, note))
        return f"manual__{len(self.triggered)}"


@pytest.fixture
def airflow() -> FakeAirflow:
    return FakeAirflow()


@contextmanager
def mounted(airflow: FakeAirflow, data: Callable[[], Data]) -> Iterator[TestClient]:
    """The page as Airflow mounts it, behind a path prefix."""
    root = FastAPI(root_path="/team")
    root.mount("/deliveries", application(airflow, data))
    with TestClient(root, base_url="http://airflow/team", follow_redirects=False) as client:
        yield client


@pytest.fixture
def page(airflow, dynamodb, ledger_table) -> Iterator[TestClient]:
    with mounted(airflow, lambda: Data(dynamodb, ledger_table, 30)) as client:
        yield client
