"""Put a file into a pick-up of the running demo: python -m local.drop ENDPOINT FILE BUCKET PREFIX."""

from __future__ import annotations

import sys
from pathlib import Path

import boto3

if __name__ == "__main__":
    endpoint, name, bucket, prefix = sys.argv[1:]
    path = Path(name)
    session = boto3.session.Session("local", "local", region_name="us-east-1")
    session.client("s3", endpoint_url=endpoint).upload_file(str(path), bucket, prefix + path.name)
    print(f"s3://{bucket}/{prefix}{path.name}")
