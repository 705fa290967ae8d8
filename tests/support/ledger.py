"""A ledger table on the AWS stand-in; each test works under a delivery key of its own."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest

from client_delivery.ledger.schema import create_table
from client_delivery.ledger.table import Ledger


@pytest.fixture(scope="session")
def dynamodb(aws):
    return aws.client("dynamodb")


@pytest.fixture(scope="session")
def ledger_table(dynamodb) -> str:
    name = f"ledger-{uuid.uuid4().hex[:8]}"
    create_table(dynamodb, name)
    return name


@pytest.fixture
def new_ledger(dynamodb, ledger_table) -> Callable[..., Ledger]:
    key = f"H{uuid.uuid4().int % 10**9:09d}"
    return lambda delivery_key=key: Ledger(dynamodb, ledger_table, delivery_key)


@pytest.fixture
def ledger(new_ledger) -> Ledger:
    return new_ledger()
