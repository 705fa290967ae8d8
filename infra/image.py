"""The transfer container's image: built and pushed when the registry lacks it, and its base renewed.

    python -m infra.image      put the newest digest of the base into docker/transfer/Dockerfile

The base is pinned by digest, so that the same commit always makes the same image; the digest is part of the image's tag
(:attr:`infra.package.Package.image_tag`), so that a renewed base is deployed like any other change. The pipeline renews
it monthly by a pull request, for a pinned base gets no security fixes by itself.
"""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.cloudformation import DeploymentError
from infra.package import ROOT, Package
from infra.settings import Environment

DOCKERFILE = ROOT / "docker" / "transfer" / "Dockerfile"
_BASE = re.compile(r"^ARG BASE=(?P<image>\S+?)(?:@\S+)?$", re.MULTILINE)
"""What every stage is built on unless a build says otherwise; nothing that is deployed does."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class TransferImage:
    """The image of one environment, in its account's registry."""

    def __init__(self, environment: Environment, session: Any, package: Package) -> None:
        self._ecr = session.client("ecr")
        self._repository = f"{environment.prefix}-transfer"
        self._registry = f"{environment.account}.dkr.ecr.{environment.region}.amazonaws.com"
        self._tag = package.image_tag
        self.name = f"{self._registry}/{self._repository}:{self._tag}"

    def is_there(self) -> bool:
        """Whether the registry has this very image."""
        gone = (self._ecr.exceptions.ImageNotFoundException, self._ecr.exceptions.RepositoryNotFoundException)
        try:
            self._ecr.describe_images(repositoryName=self._repository, imageIds=[{"imageTag": self._tag}])
        except gone:
            return False
        return True

    def push(self) -> None:
        """Build and push it. Raises :class:`DeploymentError`."""
        token = self._ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
        password = base64.b64decode(token).decode().partition(":")[2]
        _docker("login", "--username", "AWS", "--password-stdin", self._registry, given=password)
        recipe = str(DOCKERFILE.relative_to(ROOT))
        _docker("build", "--platform", "linux/amd64", "--file", recipe, "--tag", self.name, ".")
        _docker("push", self.name)


def renew_base(path: Path, newest: Callable[[str], str]) -> bool:
    """Pin the Dockerfile's base to its newest digest. Says whether that changed anything.

    Raises :class:`DeploymentError` if the Dockerfile names no base, or what ``newest`` says is no digest.
    """
    text = path.read_text()
    found = _BASE.search(text)
    if found is None:
        raise DeploymentError(f"{path} has no line ARG BASE=<image>@<digest>: nothing can be renewed.")
    image = found["image"]
    digest = newest(image).strip()
    if not _DIGEST.fullmatch(digest):
        raise DeploymentError(f"The registry's digest of {image} is not one: {digest[:100]!r}")
    renewed = text[: found.start()] + f"ARG BASE={image}@{digest}" + text[found.end() :]
    path.write_text(renewed)
    return renewed != text


def _newest_digest(image: str) -> str:
    return _docker("buildx", "imagetools", "inspect", image, "--format", "{{.Manifest.Digest}}", capture=True)


def _docker(*arguments: str, given: str | None = None, capture: bool = False) -> str:
    command = ["docker", *arguments]
    try:
        done = subprocess.run(
            command, cwd=ROOT, input=given, text=True, check=True, stdout=subprocess.PIPE if capture else None
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise DeploymentError(f"{' '.join(command[:2])} failed: {error}. The image needs a Docker engine.") from None
    return done.stdout or ""


def main() -> int:
    """Renew, and say what was done. Returns the exit code."""
    try:
        changed = renew_base(DOCKERFILE, _newest_digest)
    except DeploymentError as error:
        print(error, file=sys.stderr)
        return 1
    where = DOCKERFILE.relative_to(ROOT)
    print(f"{where}: the base is renewed; commit and release it" if changed else f"{where}: the base is the newest")
    return 0


if __name__ == "__main__":
    sys.exit(main())
