"""What is deployed: which image, which plugins, which requirements."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Release:
    """Versions of the artefacts. MWAA pins plugins and requirements to an object version in its bucket."""

    image_tag: str = "not-released"
    architecture: str = "X86_64"
    """Of the machine that builds the image: ``X86_64`` or ``ARM64`` (a fifth cheaper on Fargate)."""
    plugins_version: str | None = None
    requirements_version: str | None = None
