"""What is measured, and what is to be reached (issue 3's table)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.transfer.contenders import (
    Contender,
    curl,
    engine,
    engine_streaming,
    openssh_sftp,
    pipe,
    rclone,
    stock,
    written_first,
)

GIB = 1024**3
_MANY = ("--transfers=16", "--checkers=16")
_PARTS = (
    "--s3-chunk-size=16Mi",
    "--s3-upload-concurrency=16",
    "--multi-thread-streams=16",
    "--multi-thread-cutoff=16Mi",
)
_COPIES = ("--s3-copy-cutoff=16Mi", "--s3-chunk-size=16Mi", "--s3-upload-concurrency=64", "--multi-thread-streams=64")


@dataclass(frozen=True)
class Target:
    """A ratio to a peer that is to be reached."""

    peer: str
    speed: float | None = None
    """The engine's speed is at least this many times the peer's."""
    cpu: float | None = None
    """The engine's CPU time is at most this many times the peer's."""
    rss: float | None = None
    """The engine's peak memory is at most this many times the peer's."""


@dataclass(frozen=True)
class Case:
    """One situation, and who runs in it."""

    name: str
    title: str
    kind: str
    contenders: Mapping[str, Contender]
    targets: tuple[Target, ...] = ()
    files: int = 1
    size: int = GIB
    model: dict[str, Any] = field(default_factory=dict)
    rounds: int = 5
    rounds_of: Mapping[str, int] = field(default_factory=dict)
    """For contenders that are too slow to run as often as the others."""
    files_of: Mapping[str, int] = field(default_factory=dict)


CASES = (
    Case(
        "gcs-1g",
        "S3 → GCS, one file of 1 GiB",
        "gcs",
        {"engine": engine, "stock operator": stock, "rclone": rclone, "curl | curl": curl},
        (Target("stock operator", speed=7, rss=1 / 3), Target("rclone", speed=1.6, cpu=0.6, rss=1)),
    ),
    Case(
        "gcs-1g-tls",
        "S3 → GCS, one file of 1 GiB, TLS on both sides",
        "gcs",
        {"engine": engine, "stock operator": stock, "rclone": rclone, "curl | curl": curl},
        model={"tls": True},
        rounds=3,
    ),
    Case(
        "gcs-1g-60",
        "S3 → GCS, one file of 1 GiB, 60 MB/s per stream and 30 ms round trip",
        "gcs",
        {"engine": engine, "stock operator": stock, "rclone": rclone},
        (Target("stock operator", speed=15, rss=1 / 3), Target("rclone", speed=2.5)),
        model={"rate": 60_000_000, "rtt": 0.03},
        rounds=3,
        rounds_of={"stock operator": 2},
    ),
    Case(
        "xml-1g-60",
        "S3 → multipart uploads, one file of 1 GiB, 60 MB/s per stream and 30 ms: rclone by its S3 backend",
        "s3",
        {"engine": engine_streaming, "rclone": lambda s, r, f: rclone(s, r, f, "--disable=copy", *_PARTS)},
        (Target("rclone", speed=2.5, rss=1),),
        model={"rate": 60_000_000, "rtt": 0.03},
        rounds=3,
    ),
    Case(
        "gcs-500",
        "S3 → GCS, 500 files of 100 KiB",
        "gcs",
        {"engine": engine, "stock operator": stock, "rclone": lambda s, r, f: rclone(s, r, f, *_MANY)},
        (Target("stock operator", speed=35, rss=1 / 3), Target("rclone", speed=2, rss=1)),
        files=500,
        size=100 * 1024,
        rounds_of={"stock operator": 2},
    ),
    Case(
        "sftp-1g",
        "S3 → SFTP (OpenSSH), one file of 1 GiB",
        "sftp",
        {"engine": engine, "stock operator": stock, "rclone": rclone, "sftp from disk": openssh_sftp},
        (Target("stock operator", speed=7, rss=1 / 3), Target("rclone", speed=1, cpu=1, rss=1)),
        rounds_of={"stock operator": 2},
    ),
    Case(
        "sftp-1g-30ms",
        "S3 → SFTP (OpenSSH), one file of 1 GiB, 30 ms round trip, 4 connections",
        "sftp",
        {"engine": engine, "stock operator": stock, "rclone": rclone},
        (Target("stock operator", speed=4), Target("rclone", speed=2.5)),
        model={"rtt": 0.03},
        rounds=3,
        rounds_of={"stock operator": 1},
    ),
    Case(
        "sftp-500",
        "S3 → SFTP (OpenSSH), 500 files of 100 KiB",
        "sftp",
        {
            "engine": engine,
            "stock operator": stock,
            "rclone": lambda s, r, f: rclone(s, r, f, "--transfers=4", "--checkers=4"),
            "sftp from disk": openssh_sftp,
        },
        (Target("stock operator", speed=100, rss=1 / 3), Target("rclone", speed=2, rss=1)),
        files=500,
        size=100 * 1024,
        rounds_of={"stock operator": 2},
        files_of={"stock operator": 20},
    ),
    Case(
        "s3-copy-1g",
        "S3 → S3 copied by S3, one file of 1 GiB, 100 MB/s per copy request",
        "s3",
        {"engine": engine, "stock operator": stock, "rclone": lambda s, r, f: rclone(s, r, f, *_COPIES)},
        (Target("stock operator", speed=20, rss=1 / 3), Target("rclone", speed=1, rss=1)),
        model={"copy_rate": 100_000_000},
        rounds_of={"stock operator": 2},
    ),
    Case(
        "s3-stream-1g",
        "S3 → S3 streamed, one file of 1 GiB",
        "s3",
        {"engine": engine_streaming, "rclone": lambda s, r, f: rclone(s, r, f, "--disable=copy", *_PARTS)},
        (Target("rclone", speed=2, rss=1),),
    ),
    Case(
        "gcs-20g",
        "S3 → GCS, one file of 20 GiB that does not exist on any disk",
        "gcs",
        {"engine": engine, "rclone": rclone},
        (Target("rclone", rss=1),),
        size=20 * GIB,
        rounds=1,
    ),
    Case(
        "s3-20g",
        "S3 → S3 streamed, one file of 20 GiB that does not exist on any disk",
        "s3",
        {"engine": engine_streaming},
        size=20 * GIB,
        rounds=1,
    ),
    Case(
        "sftp-4g",
        "S3 → SFTP (OpenSSH), one file of 4 GiB",
        "sftp",
        {"engine": engine, "rclone": rclone},
        (Target("rclone", rss=1),),
        size=4 * GIB,
        rounds=1,
    ),
    *(
        Case(
            f"sftp-1g-{name}",
            f"S3 → SFTP (OpenSSH), one file of 1 GiB, {title} on its way",
            "sftp",
            {"engine": engine, "one pipe": pipe, "written first": written_first},
            model={"treated": treated},
            rounds=3,
        )
        for name, title, treated in (
            ("gzip", "compressed", {"compress": True}),
            ("pgp", "encrypted (OpenPGP)", {"encrypt": True}),
            ("gzip-pgp", "compressed and encrypted", {"compress": True, "encrypt": True}),
        )
    ),
)
