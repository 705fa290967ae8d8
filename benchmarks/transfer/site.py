"""The servers of one case, started for it, and what they say of the bytes that arrived."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Self
from urllib.parse import quote

import httpx
from awscrt import checksums

from benchmarks.transfer.tls_front import TlsFront, find_nginx
from local.certificate import server_certificate
from local.gcs import service_account_key
from local.process import Service
from local.sshd import OpenSsh

SOURCE, TARGET = "bench-source", "bench-target"
_SOURCE_FILE = "from-disk"


class Site:
    """S3, and the destination of the case.

    :param kind: ``gcs``, ``sftp`` or ``s3``.
    :param model: ``rtt`` (seconds), ``rate`` (bytes per second and connection), ``copy_rate`` (of a copy request),
        ``treated`` (what is done to files on their way).
    """

    def __init__(self, directory: Path, kind: str, files: list[dict[str, Any]], model: dict[str, Any]) -> None:
        self.kind = kind
        self.files = files
        self.directory = directory
        self.environment: dict[str, str] = {}
        """What contenders get besides what the servers ask for."""
        self._model = model
        self.treated: dict[str, Any] = model.get("treated", {})
        """``compress`` and ``encrypt``, where files are treated on their way."""
        self.suffixes = (".gz" if self.treated.get("compress") else "") + (
            ".pgp" if self.treated.get("encrypt") else ""
        )
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True)
        self._exit.callback(shutil.rmtree, self.directory, True)
        network = [f"--{name}={self._model[name]}" for name in ("rtt", "rate") if name in self._model]
        scheme = "http"
        self.trusted: str | None = None
        if self._model.get("tls"):
            scheme = "https"
            self.trusted = str(server_certificate(self.directory))
            if find_nginx() is None:
                network.append(f"--tls={self.directory / 'server.pem'}")
        copying = [f"--copy-rate={self._model['copy_rate']}"] if "copy_rate" in self._model else []
        keeping: list[str] = []
        if self.treated:
            (self.directory / "prepared").mkdir()
            keeping = [f"--keep={self.directory / 'prepared'}"]
            self._make_key()
        # Plain SFTP has only the one model: distance, by the proxy.
        s3 = self._started(
            Service("local.s3", *(network if self.kind != "sftp" else []), *copying, *keeping, log=self._log("s3"))
        )
        self.s3_url = f"{scheme}://127.0.0.1:{self._port_of('s3', s3)}"
        self._http = httpx.Client(verify=ssl.create_default_context(cafile=self.trusted) if self.trusted else False)
        answer = self._http.put(f"{self.s3_url}/_local/objects", json=self.files, timeout=60).json()
        for file in self.files:
            file.update(answer[file["key"]])
        if self.kind == "gcs":
            objects = str(self.directory / "gcs")
            gcs = self._started(
                Service("local.gcs", "--directory", objects, "--discard", *network, log=self._log("gcs"))
            )
            self.gcs_url = f"{scheme}://127.0.0.1:{self._port_of('gcs', gcs)}"
            self._http.post(f"{self.gcs_url}/_local/buckets/{TARGET}").raise_for_status()
            self.gcs_key = service_account_key(self.gcs_url)
        elif self.kind == "sftp":
            self.sftp = self._started(OpenSsh(self.directory / "ssh")).server
            self.sftp_port = self.sftp.port
            if "rtt" in self._model:
                arguments = (str(self.sftp.port), str(self._model["rtt"]))
                proxy = self._started(Service("benchmarks.transfer.delay_proxy", *arguments, log=self._log("proxy")))
                self.sftp_port = proxy.facts["port"]
            self.key_file = self.directory / "ssh" / "client_key"
        return self

    def __exit__(self, *exc: object) -> None:
        self._http.close()
        self._exit.close()

    def prepare(self, run: str) -> None:
        """An empty place for one run."""
        if self.kind == "sftp":
            (self.sftp.root / run).mkdir()

    def verify(self, run: str, files: list[dict[str, Any]]) -> None:
        """Every file is there with the bytes it should have. Raises AssertionError."""
        expected = {file["key"]: (file["size"], file["crc32c"]) for file in files}
        found = getattr(self, f"_{self.kind}_written")(run)
        assert found == expected, f"{run}: delivered is not what was to be delivered"

    def treatment(self) -> dict[str, Any]:
        """For the engine."""
        told: dict[str, Any] = {"area": "s3://bench-prepared/", "suffixes": self.suffixes}
        if self.treated.get("compress"):
            told["compress"] = "gzip"
        if self.treated.get("encrypt"):
            told["recipient"] = self._gpg("--armor", "--export", self.gpg_recipient).decode()
        return told

    def _make_key(self) -> None:
        self.gpg_home = self.directory / "gpg"
        self.gpg_home.mkdir(mode=0o700)
        self.gpg_recipient = "bench@example.org"
        self._gpg("--passphrase", "", "--quick-generate-key", self.gpg_recipient, "default", "default", "never")
        ends = ["gpgconf", "--homedir", str(self.gpg_home), "--kill", "gpg-agent"]
        self._exit.callback(subprocess.run, ends, check=False)

    def _gpg(self, *arguments: str) -> bytes:
        command = ["gpg", "--homedir", str(self.gpg_home), "--batch", "--quiet", "--pinentry-mode", "loopback"]
        return subprocess.run([*command, *arguments], check=True, capture_output=True).stdout

    def _opened(self, path: Path) -> tuple[int, str]:
        """Size and CRC32C of what is inside of a treated file, by GnuPG and gzip."""
        steps = [f"gpg --homedir {self.gpg_home} --batch --quiet --decrypt"] if self.treated.get("encrypt") else []
        steps += ["gzip --decompress"] if self.treated.get("compress") else []
        command = f"set -o pipefail; cat {path} | {' | '.join(steps)}"
        with subprocess.Popen(["bash", "-c", command], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            found = _sum_of(process.stdout)
        assert process.returncode == 0, f"{path.name} cannot be opened"
        return found

    def local_copies(self) -> Path:
        """The files on a memory disk, for what can only send from there."""
        place = self.directory / _SOURCE_FILE
        if not place.exists():
            place.mkdir()
            for file in self.files:
                url = f"{self.s3_url}/{SOURCE}/{file['key']}"
                with self._http.stream("GET", url) as answer, (place / file["key"]).open("wb") as out:
                    for piece in answer.iter_bytes(1 << 20):
                        out.write(piece)
        return place

    def gcs_token(self) -> str:
        """A token, for what cannot ask for one."""
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "a.b.c"}
        return str(self._http.post(f"{self.gcs_url}/token", data=form).json()["access_token"])

    def _gcs_written(self, run: str) -> dict[str, Any]:
        events = self._http.get(f"{self.gcs_url}/_local/events", timeout=60).json()
        return {
            event["name"].removeprefix(f"{run}/"): (event["size"], event["crc32c"])
            for event in events
            if event["event"] == "visible" and event["name"].startswith(f"{run}/")
        }

    def _s3_written(self, run: str) -> dict[str, Any]:
        written = self._http.get(f"{self.s3_url}/_local/written", timeout=60).json()["written"]
        start = f"{TARGET}/{run}/"
        return {
            name.removeprefix(start): (fact["size"], fact["crc32c"])
            for name, fact in written.items()
            if name.startswith(start)
        }

    def _sftp_written(self, run: str) -> dict[str, Any]:
        found = {}
        for path in (self.sftp.root / run).iterdir():
            if self.treated:
                found[path.name.removesuffix(self.suffixes)] = self._opened(path)
                continue
            with path.open("rb") as file:
                found[path.name] = _sum_of(file)
        shutil.rmtree(self.sftp.root / run)
        return found

    def _port_of(self, name: str, server: Service) -> int:
        """Where contenders reach it: with TLS by nginx, or by Python's own TLS where there is none."""
        port = int(server.facts["port"])
        if not self._model.get("tls") or find_nginx() is None:
            return port
        front = self._started(TlsFront(self.directory / f"{name}-tls", self.directory / "server.pem", port))
        return int(front.port)

    def _started(self, server: Any) -> Any:
        self._exit.callback(server.stop)
        return server

    def _log(self, name: str) -> Path:
        return self.directory / "logs" / f"{name}.log"


def url_path(key: str) -> str:
    """A key in a URL."""
    return quote(key)


def _sum_of(file: IO[bytes]) -> tuple[int, str]:
    """Size and CRC32C of what is in it."""
    size = crc32c = 0
    while piece := file.read(1 << 20):
        size, crc32c = size + len(piece), checksums.crc32c(piece, crc32c)
    return size, _base64(crc32c)


def _base64(value: int) -> str:
    import base64

    return base64.b64encode(value.to_bytes(4, "big")).decode()


def airflow_connection(kind: str, **fields: Any) -> str:
    """An Airflow connection for an environment variable."""
    return json.dumps({"conn_type": kind, **fields})
