"""R2.5: while a delivery runs, no secret of a destination can be read from the process list, and none is in a log, an
e-mail or an exception; whatever goes wrong."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from client_delivery.run.order import ORDER_VARIABLE
from local.wait import wait_until

MIB = 1024**2


def containers() -> str:
    """Command lines and environments of the containers' processes, as everybody on their host may read them."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            environment = (directory / "environ").read_bytes().decode(errors="replace")
            command = (directory / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue  # ended, or somebody else's
        if f"{ORDER_VARIABLE}=" in environment and int(directory.name) != os.getpid():
            found.append(command + environment)
    return "\n".join(found)


def fingerprints(stack) -> dict[str, str]:
    """A piece of each secret that nothing else contains."""
    google = json.loads(stack.gcs_key)["private_key"].splitlines()
    ssh = stack.sftp.private_key.splitlines()
    return {"Google's key": google[5], "the SSH key": ssh[2], "the SFTP password": stack.sftp_password.password}


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="no /proc here: the process list is not looked at")
@pytest.mark.parametrize("destination", ["gcs", "sftp"])
def test_r2_5_a_working_container_shows_no_secret_in_the_process_list(scenario, stack, destination):
    client = scenario(destination, offload_threshold=MIB)
    name = client.config.name
    client.stack.store_connection(name, json.loads(os.environ[f"AIRFLOW_CONN_{name.upper()}"]))
    client.drop("big.bin", os.urandom(40 * MIB))
    client.aws_faults({"call": r"s3\.GetObject", "path": "big.bin", "delay": 4, "times": 1})
    worker = threading.Thread(target=client.run)
    worker.start()
    # The order names the client: as long as it is to be seen, the container is at work.
    wait_until(lambda: f'"{name}"' in containers(), "the container runs", seconds=60, interval=0.05)
    seen = containers()
    worker.join(120)
    for what, secret in fingerprints(stack).items():
        assert secret not in seen, f"{what} can be read from the process list"
    assert client.delivered().keys() == {"big.bin"}


@pytest.mark.parametrize("destination", ["gcs", "sftp"])
def test_r2_5_trouble_of_every_kind_quotes_no_secret(scenario, stack, destination, caplog):
    client = scenario(destination)
    client.drop("a.csv")
    secrets = fingerprints(stack)
    said = ""
    if destination == "gcs":
        for rule in (
            {"call": "token", "status": 400},
            {"call": "xml|json", "status": 401},
            {"call": "xml|json", "status": 403},
        ):
            client.gcs_faults({**rule, "times": 0})
            run = client.run(resend_failed=True)
            said += "".join(repr(error) for error in run.errors.values())
    else:
        os.environ[f"AIRFLOW_CONN_{client.config.name.upper()}"] = json.dumps(
            {
                "conn_type": "sftp",
                "password": secrets["the SFTP password"],
                "extra": json.dumps({"private_key": "broken"}),
            }
        )
        run = client.run()
        said += "".join(repr(error) for error in run.errors.values())
    assert said, "there was trouble"
    said += caplog.text + "".join(mail.text + mail.html + repr(mail.attachments) for mail in client.mails())
    said += json.dumps({name: entry.last_error for name, entry in client.entries().items()})
    for what, secret in secrets.items():
        assert secret not in said, f"{what} is quoted"
