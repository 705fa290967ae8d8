"""Whatever is in a file, loading it gives a configuration or a ConfigError, quickly (R2.6)."""

from __future__ import annotations

import time

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from client_delivery.config.loader import load_directory
from client_delivery.config.model import ClientConfig
from client_delivery.config.outline import DESTINATIONS
from client_delivery.config.pickup import PickupSection

LONGEST = 2.0
"""Seconds of CPU for one file."""
FUZZ = settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))

FIELDS = sorted(
    {name for model in (ClientConfig, PickupSection, *DESTINATIONS.values()) for name in model.model_fields}
)
SYNTAX = [
    "  ",
    "\n",
    "- ",
    "[",
    "]",
    "{",
    "}",
    "'",
    '"',
    "&a ",
    "*a",
    "!x ",
    "|",
    ">",
    "#",
    "\t",
    "---\n",
    "...\n",
    "? ",
    ": ",
]
ODDITIES = [
    "%",
    "@",
    "\\",
    "~",
    "null",
    "true",
    "0640",
    "1e9",
    "ä",
    "\u2028",
    "\u200b",
    "\ufeff",
    "\x85",
    "\\x00",
    "<<: ",
]
PIECES = st.sampled_from([*(f"{name}:" for name in FIELDS), *SYNTAX, *ODDITIES, "**", ".*", "acme/", *DESTINATIONS])
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=30),
    st.sampled_from([*DESTINATIONS, "acme/", "H1234"]),
)
KEYS = st.one_of(st.sampled_from(FIELDS), st.text(max_size=8))
DATA = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=6)),
    max_leaves=30,
)


def survives(directory, content: bytes) -> None:
    (directory / "acme.yaml").write_bytes(content)
    start = time.process_time()
    [result] = load_directory(directory)
    assert time.process_time() - start < LONGEST
    assert (result.config is None) is (result.error is not None)
    if result.error:
        assert result.error.problems
        for line in str(result.error).splitlines():
            assert line.isprintable(), line
            assert len(line) < 1200, line


@FUZZ
@given(st.binary(max_size=400))
def test_any_bytes(tmp_path, content):
    survives(tmp_path, content)


@FUZZ
@given(st.lists(PIECES, max_size=60).map("".join))
def test_anything_that_looks_like_yaml(tmp_path, content):
    survives(tmp_path, content.encode())


@FUZZ
@given(DATA)
def test_any_yaml(tmp_path, data):
    survives(tmp_path, yaml.safe_dump(data, allow_unicode=True).encode("utf-8", "replace"))


@FUZZ
@given(kind=st.sampled_from([*DESTINATIONS]), data=st.data())
def test_a_good_file_with_any_value_in_any_field(tmp_path, text, kind, data):
    """Close to right is where the checks of single fields are reached."""
    model = data.draw(st.sampled_from([ClientConfig, PickupSection, DESTINATIONS[kind]]))
    section = {ClientConfig: "", PickupSection: "pickup."}.get(model, "destination.")
    field = data.draw(st.sampled_from([name for name in model.model_fields if name not in ("pickup", "destination")]))
    value = data.draw(st.one_of(LEAVES, st.lists(st.text(max_size=40), max_size=3), st.text(max_size=300)))
    as_flow = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000).split("\n")[0]
    survives(tmp_path, text(kind, {section + field: as_flow}).encode("utf-8", "replace"))


@FUZZ
@given(st.from_regex(r"([0-9*/,\-A-Za-z#?]{1,6} ){4}[0-9*/,\-A-Za-z#?]{1,6}", fullmatch=True))
def test_any_schedule(tmp_path, text, schedule):
    survives(tmp_path, text("gcs", {"schedule": f"'{schedule}'"}).encode())


@FUZZ
@given(st.text(st.sampled_from("ab*?[]!^-\\.{},/|"), max_size=40))
def test_a_pattern_that_is_taken_can_be_matched(tmp_path, text, pattern):
    """R2.1: no pattern fails, or takes for ever, when files are listed."""
    (tmp_path / "acme.yaml").write_text(
        text("gcs", {"pickup.include": yaml.safe_dump([pattern], default_flow_style=True).strip()})
    )
    [result] = load_directory(tmp_path)
    if result.config:
        start = time.process_time()
        result.config.pickup.matches("ab" * 500)
        assert time.process_time() - start < LONGEST
