"""This process, which recovers what the children leave, imports the same as they."""

from __future__ import annotations

import importlib

import pytest


@pytest.fixture(scope="package", autouse=True)
def preloaded() -> None:
    importlib.import_module("tests.faults.preload")
