"""Whether two patterns can take the same file: compared with all short names there are."""

from __future__ import annotations

from fnmatch import fnmatchcase
from itertools import product

import pytest

from client_delivery.config.patterns import can_both_match

_PATTERNS = ["*", "a*", "*b", "a?b", "?", "[ab]*", "[!a]*", "a*b*", "ab", "", "*a", "b*a", "[a-b]b", "**"]
_NAMES = ["".join(name) for length in range(5) for name in product("abc", repeat=length)]


@pytest.mark.parametrize("one", _PATTERNS)
def test_two_patterns_meet_exactly_where_a_name_matches_both(one):
    for other in _PATTERNS:
        there_is = any(fnmatchcase(name, one) and fnmatchcase(name, other) for name in _NAMES)
        assert can_both_match(one, other) == can_both_match(other, one) == there_is, (one, other)


def test_long_patterns_are_compared_in_time():
    assert can_both_match("*a" * 128, "*b" * 127 + "*a")
    assert not can_both_match("*a" * 128, "b" * 256)
