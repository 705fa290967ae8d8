"""All stand-ins together, as processes of this machine, under one work directory."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from local.mailbox import MailboxProcess
from local.process import Service
from local.sshd import AsyncSsh, OpenSsh, find_sshd
from local.stand_ins import StandIns


class Stack(StandIns):
    """The stand-ins, started when entered and ended when left."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as starting:

            def started(server: Any) -> Any:
                starting.callback(server.stop)
                return server

            logs = self.directory / "logs"
            self.mailbox = mailbox = MailboxProcess(self.directory / "mailbox")
            starting.callback(mailbox.stop)
            smtp = f"127.0.0.1:{mailbox.smtp_port}"
            self.aws_url = self.ecs_url = url_of(started(Service("local.aws", "--smtp", smtp, log=logs / "aws.log")))
            objects = str(self.directory / "gcs")
            self.gcs_url = url_of(started(Service("local.gcs", "--directory", objects, log=logs / "gcs.log")))
            self.sftp_password = started(AsyncSsh(self.directory / "sftp-password")).server
            by_key = OpenSsh if find_sshd() else AsyncSsh
            self.sftp = started(by_key(self.directory / "sftp-key")).server
            self.prepare()
            self._exit = starting.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._exit.close()


def url_of(service: Service) -> str:
    """Where an HTTP stand-in listens."""
    return f"http://127.0.0.1:{service.facts['port']}"
