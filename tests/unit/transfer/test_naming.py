"""R6.8: no name leaves the destination, and ordinary names arrive unchanged."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_delivery.transfer.contract import UnsafeName
from client_delivery.transfer.naming import object_key, remote_path

ORDINARY = [
    "a.csv",
    "sub/a.csv",
    "a b.csv",
    "café 東京.csv",
    "#1?.csv",
    "50%+more.csv",
    "q&a='x'.csv",
    "..a",
    "a..",
    "-rf",
]


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_names_arrive_unchanged(name):
    assert object_key("in/", name) == f"in/{name}"
    assert remote_path("/incoming", name) == f"/incoming/{name}"
    assert remote_path(".", name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../a", "a/../b", "/etc/passwd", "a//b", "a/", "a\x00b", "a\nb", "a\x1b[0m", "a\u2028b", "a\x85"],
)
def test_names_that_could_escape_or_deceive_are_refused(name):
    for place in (lambda: object_key("in/", name), lambda: remote_path("incoming", name)):
        with pytest.raises(UnsafeName):
            place()


def test_the_message_says_what_is_wrong_and_what_to_do():
    with pytest.raises(UnsafeName) as refused:
        remote_path("incoming", "a/../b")
    assert str(refused.value) == (
        "The name 'a/../b' has an empty, '.' or '..' path component and could leave the destination. Rename the file."
    )
    with pytest.raises(UnsafeName, match=r"The name 'a\\nb' holds control characters \(U\+000A\)\. Rename the file\."):
        remote_path("incoming", "a\nb")


def test_names_that_are_too_long_are_refused_with_the_limit():
    assert object_key("in/", "x" * 1021)
    with pytest.raises(UnsafeName, match="makes 1025 bytes in the object's key; 1024 are possible"):
        object_key("in/", "x" * 1022)
    with pytest.raises(UnsafeName, match="makes 256 bytes in one path component; 255 are possible"):
        remote_path("incoming", "é" * 128)


@given(st.text())
def test_no_name_leaves_its_place(name):
    try:
        key, path = object_key("in/", name), remote_path("/incoming", name)
    except UnsafeName:
        return
    assert key == f"in/{name}"
    assert posixpath.normpath(path) == path
    assert path.startswith("/incoming/")
