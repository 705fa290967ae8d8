"""Fixtures are in tests/support, one module for each part that they start."""

pytest_plugins = [
    "tests.support.stack",
    "tests.support.ledger",
    "tests.support.scenario",
    "tests.support.sftp",
    "tests.support.openpgp",
]
