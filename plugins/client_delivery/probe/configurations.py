"""A client's configuration by its name, for commands of people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from client_delivery.config.check import DEFAULT_DIRECTORY
from client_delivery.config.loader import load_file
from client_delivery.runtime.settings import setting

if TYPE_CHECKING:
    from client_delivery.config.model import ClientConfig


class NoConfigurationError(Exception):
    """There is no such file. The message names those that are there."""


def configuration(name: str, directory: Path | None) -> ClientConfig:
    """The configuration called ``name``.

    :param directory: None for the environment's, or the checkout's.

    Raises :class:`NoConfigurationError`, and :class:`~client_delivery.config.problem.ConfigError` if it is wrong.
    """
    place = directory or Path(setting("configs_directory") or DEFAULT_DIRECTORY)
    path = place / f"{name.removesuffix('.yaml')}.yaml"
    there = ", ".join(sorted(one.stem for one in place.glob("*.yaml"))) or "no configuration"
    if not name:
        raise NoConfigurationError(f"Say which client: NAME=…. In {place} there is: {there}.")
    if path.parent != place or not path.is_file():
        raise NoConfigurationError(f"There is no {path}. In {place} there is: {there}.")
    return load_file(path)
