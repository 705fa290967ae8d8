"""What the clients' configurations need on the AWS side: buckets, roles, secrets, keys."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from client_delivery.config.loader import load_directory
from client_delivery.config.model import ClientConfig
from infra.guards import rules_of
from infra.settings import Environment

CONFIGS = Path(__file__).resolve().parent.parent / "include" / "client_configs"


class ConfigurationsError(Exception):
    """A configuration is wrong: no policy can be made for it."""


@dataclass(frozen=True)
class Location:
    """A bucket and a prefix that are used with our own identity."""

    bucket: str
    prefix: str

    @property
    def bucket_arn(self) -> str:
        """For actions on the bucket."""
        return f"arn:aws:s3:::{self.bucket}"

    @property
    def objects_arn(self) -> str:
        """For actions on the objects."""
        return f"{self.bucket_arn}/{self.prefix}*"


@dataclass
class Needs:
    """What all clients together need."""

    pickups: set[Location] = field(default_factory=set)
    landings: set[Location] = field(default_factory=set)
    """S3 destinations that no role is assumed for, and archives (R5.8)."""
    landings_with_acl: set[Location] = field(default_factory=set)
    roles: set[str] = field(default_factory=set)
    """ARNs of the roles that configurations name."""
    kms_keys: set[str] = field(default_factory=set)
    """Destinations' keys that are used with our own identity: ARN, id or alias."""
    topics: set[str] = field(default_factory=set)
    """ARNs of the SNS topics that rules of ``notify`` name."""
    buses: set[str] = field(default_factory=set)
    """Names or ARNs of the EventBridge buses that they name."""
    prepares: bool = False
    """Whether any client's files are compressed or encrypted on their way."""
    acknowledged: set[Location] = field(default_factory=set)
    """Where recipients put acknowledgements beside a landing: only looked at."""


def load_clients(environment: Environment, directory: Path = CONFIGS) -> list[ClientConfig]:
    """All configurations. Raises :class:`ConfigurationsError` if one is wrong, or not for this environment."""
    loaded = load_directory(directory, rules_of(environment))
    if errors := [str(one.error) for one in loaded if one.error is not None]:
        raise ConfigurationsError("No policy can be made while a configuration is wrong:\n" + "\n".join(errors))
    return [one.config for one in loaded if one.config is not None]


def needs_of(clients: Iterable[ClientConfig]) -> Needs:
    """Collect what the clients need."""
    needs = Needs()
    for client in clients:
        pickup, destination = client.pickup, client.destination
        own = [rule for rule in client.notify if rule.connection_id is None]
        needs.topics |= {rule.topic_arn for rule in own if rule.topic_arn}
        needs.buses |= {rule.event_bus or "default" for rule in own if rule.via == "eventbridge"}
        needs.prepares |= client.treated
        if pickup.role_arn:
            needs.roles.add(pickup.role_arn)
        else:
            needs.pickups.add(Location(pickup.bucket, pickup.prefix))
            if client.archive_prefix:
                needs.landings.add(Location(pickup.bucket, client.archive_prefix))
        if destination.type != "s3":
            continue
        if destination.role_arn:
            needs.roles.add(destination.role_arn)
            continue
        location = Location(destination.bucket, destination.prefix)
        needs.landings.add(location)
        if client.acknowledgement and client.acknowledgement.place:
            place = client.acknowledgement.place.rstrip("/") + "/"
            needs.acknowledged.add(Location(destination.bucket, place))
        if destination.acl:
            needs.landings_with_acl.add(location)
        if destination.kms_key:
            needs.kms_keys.add(destination.kms_key)
    return needs
