"""What it costs to prepare a large file: compressed, encrypted and signed, in bounded memory (R6.6, R6.13).

The source is declared and the prepared object is checked and forgotten by the stand-in: no disk is measured.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
import pytest

from local.process import ROOT, Service
from local.stack import url_of
from tests.load.measured import MIB, note

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]

_PROGRAM = """
import json, resource, sys, time
sys.path[:0] = ["plugins", "."]
from client_delivery.access.aws import s3_access
from client_delivery.transfer.contract import Job, SourceObject
from client_delivery.transfer.secret import Secret
from client_delivery.transfer.treatment.area import PreparedArea
from client_delivery.transfer.treatment.destination import Treatment, TreatedDestination
from client_delivery.transfer.treatment.encryption import Encryption, read_recipient, read_signer
from tests.support.openpgp import key

class Journal:
    def progress(self, moved): pass

size, kind = int(sys.argv[1]), sys.argv[2]
signer = read_signer(Secret("x", extra={"private_key": key("ours.private")}))
how = Encryption((read_recipient(key("good")),), signer, False)
treatment = Treatment("gzip" if "gzip" in kind else None, how if "pgp" in kind else None, "", False)
access = s3_access()
target = TreatedDestination(None, lambda: treatment, PreparedArea("s3://area/", access), access)
target._treatment = treatment
began = time.monotonic()
made = target._prepare(Job("a.csv", SourceObject("pickup", "a.csv", "0" * 32, size), 1), Journal())
seconds = time.monotonic() - began
own, child = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(json.dumps({"seconds": seconds, "size": made.size, "cpu": own.ru_utime + own.ru_stime,
    "child_cpu": child.ru_utime + child.ru_stime, "rss": own.ru_maxrss * 1024, "child_rss": child.ru_maxrss * 1024}))
"""


@pytest.mark.parametrize("gib", [1, pytest.param(10)])
@pytest.mark.parametrize("kind", ["pgp", "gzip+pgp"])
def test_a_large_file_is_prepared_in_bounded_memory(gib, kind):
    size = gib * 1024 * MIB
    with tempfile.TemporaryDirectory() as directory:
        s3 = Service("local.s3", log=Path(directory) / "s3.log")
        try:
            url = url_of(s3)
            declared = [{"bucket": "pickup", "key": "a.csv", "size": size, "etag": "0" * 32}]
            httpx.put(f"{url}/_local/objects", json=declared, timeout=60).raise_for_status()
            done = subprocess.run(
                [sys.executable, "-c", _PROGRAM, str(size), kind],
                cwd=ROOT,
                env={
                    **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
                    "AWS_ACCESS_KEY_ID": "local",
                    "AWS_SECRET_ACCESS_KEY": "local",
                    "AWS_DEFAULT_REGION": "us-east-1",
                    "AWS_ENDPOINT_URL": url,
                },
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            s3.stop()
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)
    note(
        f"{gib} GiB prepared ({kind}): {measured['seconds']:.0f} s, {size / measured['seconds'] / 1e6:.0f} MB/s, "
        f"{measured['cpu'] / gib:.1f} + {measured['child_cpu'] / gib:.1f} CPU s/GiB, peak memory "
        f"{measured['rss'] / MIB:.0f} + {measured['child_rss'] / MIB:.0f} MiB"
    )
    assert measured["rss"] < 300 * MIB
    assert measured["child_rss"] < 100 * MIB
