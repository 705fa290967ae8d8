"""A record of whatever could be seen below a directory, however short a time: the kernel tells (inotify)."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from awscrt import checksums

if sys.platform == "linux":
    from inotify_simple import INotify, flags

_PATIENCE = 30.0


@dataclass(frozen=True)
class Seen:
    """Something happened to a name."""

    how: Literal["appeared", "found", "created", "written", "gone"]
    """``appeared``: by a rename, complete or not. ``created`` and ``written``: somebody writes under this very name.
    ``found``: it was in a new directory before that was watched."""
    path: str
    """Below the directory."""
    size: int | None = None
    """Of what appeared; None if it was gone again before it could be looked at."""
    crc32c: int | None = None

    @property
    def hidden(self) -> bool:
        """Whether it is a temporary name of ours."""
        return self.path.rpartition("/")[2].startswith(".")


class Visible:
    """Watches a directory and all below it, until it is stopped. Linux only.

    :param opened: what is inside of a file that was compressed or encrypted, of this name and content; whatever it
        cannot open is told as it is.
    """

    def __init__(self, root: Path, opened: Callable[[str, bytes], bytes] | None = None) -> None:
        self._root = root
        self._opened = opened
        self._inotify: Any = INotify()
        self._directories: dict[int, Path] = {}
        self._events: list[Seen] = []
        self._marks = itertools.count(1)
        self._passed = threading.Condition()
        self._mark = 0
        self._error: BaseException | None = None
        self._watch(root)
        self._thread = threading.Thread(target=self._follow, name="visible", daemon=True)
        self._thread.start()

    def events(self) -> list[Seen]:
        """All that has happened until now, in order."""
        number = next(self._marks)
        mark = self._root / f".mark-{number}"
        mark.touch()
        with self._passed:
            passed = self._passed.wait_for(lambda: self._mark >= number or self._error, _PATIENCE)
        mark.unlink()
        if self._error:
            raise self._error
        assert passed, "the record stands still"
        return [event for event in self._events if not event.path.startswith(".mark-")]

    def stop(self) -> None:
        """No more."""
        if self._thread.is_alive():
            (self._root / ".mark-stop").touch()
            self._thread.join()
            (self._root / ".mark-stop").unlink()
        self._inotify.close()

    def _watch(self, directory: Path) -> None:
        wanted = flags.CREATE | flags.MODIFY | flags.MOVED_FROM | flags.MOVED_TO | flags.DELETE
        self._directories[self._inotify.add_watch(directory, wanted | flags.ONLYDIR)] = directory

    def _follow(self) -> None:
        try:
            while True:
                for event in self._inotify.read():
                    if event.name == ".mark-stop":
                        return
                    self._note(event)
        except BaseException as error:  # told by events()
            with self._passed:
                self._error = error
                self._passed.notify_all()

    def _note(self, event: Any) -> None:
        if event.mask & flags.Q_OVERFLOW:
            raise RuntimeError("more happened than the kernel keeps: the record has a gap")
        if event.mask & flags.IGNORED:
            return
        path = self._directories[event.wd] / event.name
        if event.mask & flags.ISDIR:
            if event.mask & (flags.CREATE | flags.MOVED_TO):
                self._new_directory(path)
        elif event.mask & flags.MOVED_TO:
            self._add("appeared", path)
        elif event.mask & flags.CREATE:
            self._add("created", path)
        elif event.mask & flags.MODIFY:
            self._add("written", path)
        else:
            self._add("gone", path)
        if path.parent == self._root and path.name.startswith(".mark-") and event.mask & flags.CREATE:
            with self._passed:
                self._mark = int(path.name.removeprefix(".mark-"))
                self._passed.notify_all()

    def _new_directory(self, path: Path) -> None:
        try:
            self._watch(path)
            there = sorted(path.iterdir())
        except FileNotFoundError:
            return
        for name in there:  # what came before it was watched: whether it was renamed or is being written, nobody saw
            if name.is_dir() and not name.is_symlink():
                self._new_directory(name)
            else:
                self._add("found", name)

    def _add(self, how: Any, path: Path) -> None:
        name = str(path.relative_to(self._root))
        size = crc32c = None
        if how in ("appeared", "found") and not path.name.startswith("."):
            try:
                content = path.read_bytes()
                if self._opened is not None:
                    with suppress(Exception):  # a half: its bytes are no file's
                        content = self._opened(name, content)
                size, crc32c = len(content), checksums.crc32c(content)
            except OSError:
                pass
        seen = Seen(how, name, size, crc32c)
        if how != "written" or not self._events or self._events[-1] != seen:
            self._events.append(seen)
