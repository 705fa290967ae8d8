"""The transfer image (R6.1), built and run as Fargate runs it: no root, no capabilities, read-only."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from client_delivery.config.model import ClientConfig
from client_delivery.ledger.entry import Status
from client_delivery.ledger.life import RunRef
from client_delivery.ledger.table import Assignment, Ledger
from client_delivery.pickup.pickup import Pickup
from client_delivery.run.order import ORDER_VARIABLE, ExitCode, Order
from local.stand_ins import GCS_BUCKET, LEDGER_TABLE, PICKUP_BUCKET

ROOT = Path(__file__).resolve().parents[2]
HARDENED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
KEY = "H7700001"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def image() -> str:
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no Docker engine answers: the image is neither built nor run")
    # Named without values, these are taken from the environment, where it has them: another registry, another base.
    given = ("BASE", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST")
    arguments = [part for name in given for part in ("--build-arg", name)]
    build = ["docker", "build", "-q", "--network=host", *arguments, "-f", "docker/transfer/Dockerfile", "."]
    return subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def run(image: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    given = [f"--env={name}={value}" for name, value in environment.items()]
    command = ["docker", "run", "--rm", "--network=host", *HARDENED, *given, *arguments, image]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_says_what_is_missing_and_ends_with_its_code(image):
    done = run(image)
    assert done.returncode == ExitCode.MISUSED
    assert "AIRFLOW__DELIVERY__LEDGER_TABLE is not set" in done.stdout


def test_r6_1_it_delivers_what_it_is_ordered(image, stack):
    config = ClientConfig.model_validate(
        {
            "name": "image_test",
            "client_h_number": KEY,
            "contacts": ["data@example.com"],
            "send_notifications": False,
            "pickup": {"bucket": PICKUP_BUCKET, "prefix": "image_test/"},
            "destination": {
                "type": "gcs",
                "bucket": GCS_BUCKET,
                "prefix": "image_test/",
                "connection_id": "image_test",
            },
            "bypass_file_checks": False,
            "trigger_on_done_file": False,
        }
    )
    stack.store_connection(
        "image_test", {"conn_type": "google_cloud_platform", "extra": {"keyfile_dict": stack.gcs_key}}
    )
    content = os.urandom(40 * 1024**2)
    s3 = stack.client("s3")
    s3.put_object(Bucket=PICKUP_BUCKET, Key="image_test/big.bin", Body=content)
    owner = RunRef("manual__2026-01-01T00:00:00+00:00")
    (file,) = Pickup(config, s3).files()
    Ledger(stack.client("dynamodb"), LEDGER_TABLE, KEY).add([Assignment(file, file.etag, 0)], owner, config.name)
    order = Order(config, owner, 0, remove_source=False).to_json()
    done = run(image, **stack.environment(), **{ORDER_VARIABLE: order})
    assert done.returncode == ExitCode.DELIVERED, done.stdout + done.stderr
    assert stack.gcs_contents(GCS_BUCKET, "image_test/") == {"image_test/big.bin": content}
    assert stack.ledger_entries(KEY)["big.bin"].status is Status.SUCCESS
    # Ordered again, it finds nothing to do.
    assert run(image, **stack.environment(), **{ORDER_VARIABLE: order}).returncode == ExitCode.DELIVERED
