"""Who runs: this engine, the stock operators, rclone, and a floor that does not check anything."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from benchmarks.transfer.meter import Measured, run_module, run_program
from benchmarks.transfer.site import SOURCE, TARGET, Site, airflow_connection
from benchmarks.transfer.versions import pinned_rclone

Contender = Callable[[Site, str, list[dict[str, Any]]], Measured]


def engine(site: Site, run: str, files: list[dict[str, Any]], **destination: Any) -> Measured:
    """This project's."""
    kind = site.kind
    chosen: dict[str, Any] = {"type": kind}
    secret: dict[str, Any] | None = None
    if kind == "sftp":
        server = site.sftp
        chosen |= {"host": server.host, "port": site.sftp_port, "username": server.username, "directory": run}
        chosen |= {"connection_id": "bench", "host_keys": [server.host_key]}
        secret = {"private_key": server.private_key}
    else:
        chosen |= {"bucket": TARGET, "prefix": f"{run}/"}
        if kind == "gcs":
            chosen["connection_id"] = "bench"
            secret = {"keyfile_dict": site.gcs_key}
    order = {
        "files": files,
        "destination": chosen | destination,
        "secret": secret,
        "gcs_endpoint": getattr(site, "gcs_url", ""),
    }
    if site.treated:
        order |= {"treatment": site.treatment(), "suffixes": site.suffixes}
    return run_module("benchmarks.transfer.engine", order, _environment(site))


def engine_streaming(site: Site, run: str, files: list[dict[str, Any]]) -> Measured:
    """This project's, where S3 may not copy by itself: a bandwidth limit above all bandwidths makes it stream."""
    return engine(site, run, files, max_bytes_per_second=10**12)


def stock(site: Site, run: str, files: list[dict[str, Any]]) -> Measured:
    """The pinned providers' operators."""
    environment = _environment(site) | {
        "AIRFLOW_CONN_AWS_DEFAULT": "aws://",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW_HOME": str(site.directory / "airflow"),
    }
    if site.kind == "gcs":
        environment["STORAGE_EMULATOR_HOST"] = site.gcs_url
        environment["AIRFLOW_CONN_BENCH_GCS"] = airflow_connection(
            "google_cloud_platform", extra={"keyfile_dict": json.dumps(site.gcs_key), "project": "local-project"}
        )
    elif site.kind == "sftp":
        environment["AIRFLOW_CONN_BENCH_SFTP"] = airflow_connection(
            "sftp",
            host=site.sftp.host,
            port=site.sftp_port,
            login=site.sftp.username,
            extra={"private_key": site.sftp.private_key, "no_host_key_check": True},
        )
    order = {"files": files, "prefix": f"{run}/", "destination": {"type": site.kind, "bucket": TARGET}}
    if site.kind == "sftp":
        order["destination"] = {"type": "sftp", "directory": str(site.sftp.root / run)}
    return run_module("benchmarks.transfer.stock", order, environment)


def rclone(site: Site, run: str, files: list[dict[str, Any]], *flags: str, to: str = "") -> Measured:
    """rclone, tuned for the case by its flags."""
    targets = {"gcs": f"gcs:{TARGET}/{run}", "s3": f"s3:{TARGET}/{run}", "sftp": f"sftp:{run}"}
    target = targets[to or site.kind]
    source = f"s3:{SOURCE}" + (f"/{files[0]['key']}" if len(files) == 1 else "")
    command = [
        str(pinned_rclone()),
        "copy",
        source,
        target,
        "--no-traverse",
        "--config=/dev/null",
        "--retries=1",
        *flags,
    ]
    return run_program(command, _environment(site) | _rclone_environment(site))


def curl(site: Site, run: str, files: list[dict[str, Any]]) -> Measured:
    """The floor towards object stores: two curls and a pipe, one file, nothing checked on the way."""
    (file,) = files
    get = f"curl -sS --fail {site.s3_url}/{SOURCE}/{file['key']}"
    put = (
        f"curl -sS --fail -T - -H 'Transfer-Encoding:' -H 'Expect:' -H 'Content-Length: {file['size']}' "
        f"-H 'Authorization: Bearer {site.gcs_token()}' {site.gcs_url}/{TARGET}/{run}/{file['key']}"
    )
    return run_program(["sh", "-c", f"{get} | {put}"], {"CURL_CA_BUNDLE": site.trusted} if site.trusted else {})


def openssh_sftp(site: Site, run: str, files: list[dict[str, Any]]) -> Measured:
    """The floor towards SFTP: OpenSSH's own client, from files that are there already."""
    place = site.local_copies()
    batch = site.directory / "batch"
    batch.write_text("".join(f"put {place / file['key']} {run}/{file['key']}\n" for file in files))
    options = ["-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-oCiphers=aes128-gcm@openssh.com"]
    port = ["-P", str(site.sftp_port), "-i", str(site.key_file)]
    return run_program(["sftp", "-q", *options, *port, "-b", str(batch), f"{site.sftp.username}@{site.sftp.host}"], {})


def pipe(site: Site, run: str, files: list[dict[str, Any]]) -> Measured:
    """Towards SFTP with compression and OpenPGP as people script it: curl, gzip and gpg in one pipe, one file. What was
    interrupted begins anew, and nobody compares a checksum."""
    (file,) = files
    steps = [f"curl -sS --fail {site.s3_url}/{SOURCE}/{file['key']}", *_treating(site)]
    address = f"sftp://{site.sftp.host}:{site.sftp_port}/~/{run}/{file['key']}{site.suffixes}"
    login = f"--key {site.key_file} --pubkey {site.key_file}.pub -u {site.sftp.username}: -k"
    return run_program(["bash", "-c", " | ".join([*steps, f"curl -sS {login} -T - {address}"])], {})


def written_first(site: Site, run: str, files: list[dict[str, Any]]) -> Measured:
    """The same from a file that is there already, into another one, which OpenSSH's client then sends."""
    (file,) = files
    done = site.directory / f"{file['key']}{site.suffixes}"
    steps = [f"cat {site.local_copies() / file['key']}", *_treating(site)]
    batch = site.directory / "batch"
    batch.write_text(f"put {done} {run}/{done.name}\n")
    options = "-oStrictHostKeyChecking=no -oUserKnownHostsFile=/dev/null -oCiphers=aes128-gcm@openssh.com"
    send = f"sftp -q {options} -P {site.sftp_port} -i {site.key_file} -b {batch} {site.sftp.username}@{site.sftp.host}"
    try:
        return run_program(["bash", "-c", f"set -o pipefail; {' | '.join(steps)} > {done} && {send}"], {})
    finally:
        done.unlink(missing_ok=True)


def _treating(site: Site) -> list[str]:
    steps = ["gzip -1"] if site.treated.get("compress") else []
    if site.treated.get("encrypt"):
        gpg = f"gpg --homedir {site.gpg_home} --batch --quiet --trust-model always --compress-algo none"
        steps.append(f"{gpg} --encrypt --recipient {site.gpg_recipient} --output -")
    return steps


def _environment(site: Site) -> dict[str, str]:
    environment = {
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": site.s3_url,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    if site.trusted:
        environment |= dict.fromkeys(("SSL_CERT_FILE", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"), site.trusted)
    return environment | site.environment


def _rclone_environment(site: Site) -> dict[str, str]:
    remotes: dict[str, dict[str, str]] = {
        "s3": {
            "type": "s3",
            "provider": "Other",
            "endpoint": site.s3_url,
            "access_key_id": "bench",
            "secret_access_key": "bench",
            "region": "us-east-1",
            "force_path_style": "true",
            "no_check_bucket": "true",
        }
    }
    if site.kind == "gcs":
        remotes["gcs"] = {
            "type": "google cloud storage",
            "service_account_credentials": json.dumps(site.gcs_key),
            "endpoint": f"{site.gcs_url}/storage/v1/",
            "bucket_policy_only": "true",
            "no_check_bucket": "true",
        }
    if site.kind == "sftp":
        remotes["sftp"] = {
            "type": "sftp",
            "host": site.sftp.host,
            "port": str(site.sftp_port),
            "user": site.sftp.username,
            "key_file": str(site.key_file),
            "ciphers": "aes128-gcm@openssh.com",
            "chunk_size": "255Ki",
            "concurrency": "64",
            "shell_type": "none",
            "disable_hashcheck": "true",
        }
    return {
        f"RCLONE_CONFIG_{remote.upper()}_{name.upper()}": value
        for remote, options in remotes.items()
        for name, value in options.items()
    }
