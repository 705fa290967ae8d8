"""Where a judge is wrong: the beginning of a test's name, and what the judge does in the place of what is documented.

A test that meets a lie is expected to fail. One that passes some day fails the gate, and its entry is taken out.

Seen, but no test depends on it: SeaweedFS sends the ETag in ``CopyObjectResult`` without quotation marks, so that the
receipt of a small object that was copied can have the remark that somebody has overwritten it since.
"""

from __future__ import annotations

LIES: dict[str, dict[str, str]] = {"seaweedfs": {}, "ministack": {}}
