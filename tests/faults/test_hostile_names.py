"""R6.8, R7.4: whatever clients call their files, each arrives under exactly its name or fails by name; nothing lands
outside of the destination, and no name reaches an e-mail as anything but text."""

from __future__ import annotations

import hashlib
import re
import string

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from client_delivery.ledger.entry import Status
from tests.support.scenario import Scenario

PIECES = [
    *("..", ".", "~", "-rf", "--", "*", "?", "[a]", "$(id)", "`id`", "; rm", "|", "&", "'", '"', "\\", "%2e%2e", "%00"),
    *("<script>alert(1)</script>", "<img src=x onerror=y>", "{{ 7*7 }}", "${jndi:ldap://x}", "=cmd()", "Bcc: a@b.c"),
    *("\u202egpj.csv", "\u200b", "\ufeff", "e\u0301", "\U0001f4c1", "ﷺ", "CON", "nul", ".csv", "a.csv.part", "\t"),
    *("\x7f", "\x85", "\u2028", "Ü", " ", "+", "#", "=", "@", ":", ","),
]
NAMES = st.lists(
    st.one_of(st.sampled_from(PIECES), st.text(string.ascii_letters + string.digits, min_size=1, max_size=5)),
    min_size=1,
    max_size=4,
).map("".join)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


def fits_no_file_system(names: set[str]) -> bool:
    """A file and a directory of one name: S3 knows no directories, SFTP servers do."""
    return any(f"{name}/" == other[: len(name) + 1] for name in names for other in names)


UNSAFE = r"(^|/)\.{0,2}(/|$)|[\t\x7f\x85\u2028]"
HIDDEN_FOLDER = r"(^|/)\.[^/]*/"
"""As ``.ssh/``: an SFTP server may obey what is in it."""


@pytest.mark.parametrize("destination", ["gcs", "sftp", "s3"])
def test_each_arrives_under_its_name_or_fails_by_it(scenario, stack, destination):
    may_be_refused = re.compile(f"{UNSAFE}|{HIDDEN_FOLDER}" if destination == "sftp" else UNSAFE)
    outside = {path for path in stack.sftp.root.parent.rglob("*") if stack.sftp.root not in path.parents}

    @settings(max_examples=6, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sets(PATHS, min_size=4, max_size=12))
    @example(
        {"../up.csv", "a/../../b.csv", "<script>alert(1)</script>.csv", "-rf", "line\u2028break.csv", "=cmd().csv"}
    )
    @example({"..", "......", "..../....", "\x7f"})
    def play(names: set[str]) -> None:
        client: Scenario = scenario(destination)
        content = {name: f"{number} {name}".encode() for number, name in enumerate(sorted(names))}
        for name, body in content.items():
            client.drop(name, body)
        client.run()
        entries = client.entries()
        assert entries.keys() == names, "the ledger knows each by its name"
        found = client.delivered()
        sent = {name for name, entry in entries.items() if entry.status is Status.SUCCESS}
        assert found == {name: content[name] for name in sent}
        refused = names - sent
        clash = destination == "sftp" and fits_no_file_system(names)
        assert clash or all(may_be_refused.search(name) for name in refused), refused
        assert all(entries[name].last_error for name in refused)
        for mail in client.mails():
            assert "<script" not in mail.html
            assert "<img src=x" not in mail.html
            assert mail.recipients == tuple(client.config.contacts)

    play()
    now = {path for path in stack.sftp.root.parent.rglob("*") if stack.sftp.root not in path.parents}
    assert now == outside, "something was written beside the server's directory"


TEMPLATE = "{folder}to {stem}{ext}"


def as_templated(name: str) -> str:
    """What ``TEMPLATE`` makes of a name; where the stem ends does not matter to it."""
    folder, slash, base = name.rpartition("/")
    return f"{folder}{slash}to {base}"


@pytest.mark.parametrize("destination", [pytest.param("gcs", marks=pytest.mark.slow), "sftp"])
def test_each_arrives_under_the_templates_name_with_its_checksum_or_fails_by_it(scenario, stack, destination):
    outside = {path for path in stack.sftp.root.parent.rglob("*") if stack.sftp.root not in path.parents}

    @settings(max_examples=1, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sets(PATHS, min_size=4, max_size=12))
    @example({"../up.csv", "a/../../b.csv", "{client}.csv", "{0.__class__}", "%Y", "line\u2028break.csv", "=cmd().csv"})
    def play(names: set[str]) -> None:
        manifest = {"name": "manifest", "content": "csv"}
        client: Scenario = scenario(destination, deliver_as=TEMPLATE, sidecar="sha256", completion_file=manifest)
        content = {name: f"{number} {name}".encode() for number, name in enumerate(sorted(names))}
        for name, body in content.items():
            client.drop(name, body)
        client.run()
        entries = client.entries()
        assert entries.keys() == names, "the ledger knows each by its name"
        sent = {name for name, entry in entries.items() if entry.status is Status.SUCCESS}
        there = {as_templated(name): content[name] for name in sent}
        sums = {f"{name}.sha256": hashlib.sha256(body).hexdigest().encode() for name, body in there.items()}
        found = client.delivered()
        assert {name: body for name, body in found.items() if name in there} == there
        beside = {name: body.split()[0] for name, body in found.items() if name not in there and name != "manifest"}
        assert beside == sums
        assert ("manifest" in found) == (sent == names), "complete, or not told of"
        assert all(entries[name].last_error for name in names - sent)

    play()
    now = {path for path in stack.sftp.root.parent.rglob("*") if stack.sftp.root not in path.parents}
    assert now == outside, "something was written beside the server's directory"
