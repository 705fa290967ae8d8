"""The operators of the pinned Airflow providers as contenders, with the settings they come with."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from benchmarks.transfer.meter import measuring


def main() -> None:
    """Run the operators of the order, which stands on standard input, one after the other as a DAG would."""
    order = json.load(sys.stdin)
    logging.disable(logging.CRITICAL)
    operators = list(_operators(order))
    with measuring():
        for operator in operators:
            operator.execute({})


def _operators(order: dict[str, Any]) -> Any:
    bucket, prefix, kind = order["files"][0]["bucket"], order["prefix"], order["destination"]["type"]
    if kind == "gcs":
        from airflow.providers.google.cloud.transfers.s3_to_gcs import S3ToGCSOperator

        target = f"gs://{order['destination']['bucket']}/{prefix}"
        yield S3ToGCSOperator(task_id="t", bucket=bucket, dest_gcs=target, gcp_conn_id="bench_gcs", replace=True)
        return
    if kind == "sftp":
        from airflow.providers.amazon.aws.transfers.s3_to_sftp import S3ToSFTPOperator

        for number, file in enumerate(order["files"]):
            yield S3ToSFTPOperator(
                task_id=f"t{number}",
                sftp_conn_id="bench_sftp",
                sftp_path=f"{order['destination']['directory']}/{file['key']}",
                s3_bucket=bucket,
                s3_key=file["key"],
            )
        return
    from airflow.providers.amazon.aws.operators.s3 import S3CopyObjectOperator

    for number, file in enumerate(order["files"]):
        yield S3CopyObjectOperator(
            task_id=f"t{number}",
            source_bucket_name=bucket,
            source_bucket_key=file["key"],
            dest_bucket_name=order["destination"]["bucket"],
            dest_bucket_key=prefix + file["key"],
        )


if __name__ == "__main__":
    main()
