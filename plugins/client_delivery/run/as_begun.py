"""Which configuration a task uses: a run that has files in hand ends as it began (R4.7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from client_delivery.run.context import Run

if TYPE_CHECKING:
    from client_delivery.config.model import ClientConfig
    from client_delivery.ledger.configurations import Begun
    from client_delivery.ledger.life import RunRef


@dataclass(frozen=True, slots=True)
class GoesBy:
    """What a task of a run uses."""

    config: ClientConfig | None
    """None if nobody knows it."""
    params: Mapping[str, Any]
    has_begun: bool = False
    """Whether this life of the run has begun something."""


def goes_by(owner: RunRef, config: ClientConfig | None, params: Mapping[str, Any], *, winds_up: bool = False) -> GoesBy:
    """What this life of the run began with; where it has not begun, what its file and the trigger form say now.

    :param config: the client's configuration as its file is now; None if the file is wrong.
    :param winds_up: whether the task may use what an earlier life of the run began with, if the file is wrong.
    """
    begun = Run.begun(owner)
    if begun is None:
        return GoesBy(config, params)
    has_begun = begun.life.is_same_life(owner)
    if has_begun or (config is None and winds_up and begun.life.is_earlier_life_of(owner)):
        config, params = configuration_of(begun) or config, {**params, **begun.params}
    return GoesBy(config, params, has_begun)


def configuration_of(begun: Begun) -> ClientConfig | None:
    """The configuration that a run began with; None if a release came in between that cannot read it."""
    from pydantic import ValidationError

    from client_delivery.config.model import ClientConfig

    try:
        return ClientConfig.model_validate_json(begun.configuration)
    except ValidationError:
        return None
