"""What a run costs in requests, as the files in a pick-up and the client's history grow.

Runs the product's tasks in this process against the AWS stand-in, which counts the calls.

    python -m benchmarks.requests_per_run [FILES …]
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from client_delivery.config.model import ClientConfig
from local.stack import Stack
from local.stand_ins import PICKUP_BUCKET, S3_BUCKET
from tests.support.runs import Runs

FILES = (1, 100, 10_000)
_SHOWN = (
    ("dynamodb.Query", "Query"),
    ("dynamodb.BatchGetItem", "BatchGet"),
    ("dynamodb.GetItem", "GetItem"),
    ("dynamodb.TransactWriteItems", "Transact"),
    ("dynamodb.BatchWriteItem", "BatchWrite"),
    ("dynamodb.PutItem", "Put"),
    ("dynamodb.UpdateItem", "Update"),
    ("dynamodb.Scan", "Scan"),
    ("s3.ListObjectsV2", "List"),
    ("s3.HeadObject", "Head"),
    ("s3.CopyObject", "Copy"),
    ("s3.DeleteObject", "Delete"),
)


def client(number: int) -> ClientConfig:
    """A client that delivers from S3 to S3, so that nothing but AWS is counted."""
    fields: dict[str, Any] = {
        "name": f"client_{number}",
        "client_h_number": f"H{10_000 + number}",
        "contacts": ["data@example.com"],
        "send_notifications": False,
        "pickup": {"bucket": PICKUP_BUCKET, "prefix": f"client_{number}/"},
        "destination": {"type": "s3", "bucket": S3_BUCKET, "prefix": f"client_{number}/"},
        "bypass_file_checks": False,
        "trigger_on_done_file": False,
    }
    return ClientConfig.model_validate(fields)


class Meter:
    """Counts the calls of one run."""

    def __init__(self, stack: Stack) -> None:
        self._url = f"{stack.aws_url}/_local/requests"

    def run(self, title: str, runs: Runs) -> None:
        """Run once, and print a line."""
        httpx.delete(self._url, timeout=60)
        result = runs.run()
        if result.errors:
            raise RuntimeError(result.errors)
        counts = Counter(httpx.get(self._url, timeout=60).json())
        cells = "".join(f"{counts[call]:>11,}" for call, _ in _SHOWN)
        print(f"{title:<34}{len(result.executed):>6}{cells}", flush=True)


def main() -> None:
    logging.disable(logging.CRITICAL)
    sizes = [int(argument) for argument in sys.argv[1:]] or FILES
    heading = f"{'run':<34}{'tasks':>6}" + "".join(f"{name:>11}" for _, name in _SHOWN)
    with Stack(Path(tempfile.mkdtemp()) / "stack") as stack:
        os.environ |= {name: value for name, value in stack.environment().items() if "SECRETS" not in name}
        s3, meter = stack.client("s3"), Meter(stack)
        print(heading)
        for number, size in enumerate(sizes):
            config = client(number)
            runs = Runs(config)

            def put(key: str, config: ClientConfig = config) -> None:
                s3.put_object(Bucket=PICKUP_BUCKET, Key=config.pickup.prefix + key, Body=key.encode())

            with ThreadPoolExecutor(4) as pool:
                list(pool.map(put, (f"{index:06d}.csv" for index in range(size))))
            meter.run(f"{size:,} new files", runs)
            meter.run(f"{size:,} files to clear away", runs)
            meter.run(f"idle, history of {size:,} files", runs)
            put("one-more.csv")
            meter.run(f"1 new file, history of {size:,}", runs)


if __name__ == "__main__":
    main()
