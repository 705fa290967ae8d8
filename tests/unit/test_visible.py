"""The record of what could be seen leaves nothing out."""

from __future__ import annotations

import sys

import pytest
from awscrt import checksums

if sys.platform != "linux":
    pytest.skip("the kernel tells on Linux only (inotify)", allow_module_level=True)

from tests.support.visible import Visible


@pytest.fixture
def seen(tmp_path):
    record = Visible(tmp_path)
    yield lambda: [(event.how, event.path) for event in record.events()]
    record.stop()


def test_a_file_that_grows_under_its_name_is_told_from_one_that_appears_whole(tmp_path, seen):
    (tmp_path / "grows").write_bytes(b"content")
    (tmp_path / ".part").write_bytes(b"content")
    (tmp_path / ".part").rename(tmp_path / "whole")
    assert seen() == [
        ("created", "grows"),
        ("written", "grows"),
        ("created", ".part"),
        ("written", ".part"),
        ("gone", ".part"),
        ("appeared", "whole"),
    ]


def test_what_was_there_for_a_moment_only_is_in_the_record(tmp_path, seen):
    (tmp_path / "moment").touch()
    (tmp_path / "moment").unlink()
    assert seen() == [("created", "moment"), ("gone", "moment")]


def test_directories_below_are_watched_from_the_moment_they_are_made(tmp_path, seen):
    (tmp_path / "a" / "b").mkdir(parents=True)
    seen()
    (tmp_path / "a" / "b" / "file").touch()
    assert seen() == [("created", "a/b/file")]


def test_what_appears_is_read(tmp_path):
    record = Visible(tmp_path)
    (tmp_path / ".part").write_bytes(b"content")
    (tmp_path / ".part").rename(tmp_path / "whole")
    appeared = record.events()[-1]
    record.stop()
    assert (appeared.size, appeared.crc32c) == (7, checksums.crc32c(b"content"))
