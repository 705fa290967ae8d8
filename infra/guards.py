"""What an environment asks of configurations beyond the model: python -m infra.guards NAME [path …].

The same as ``python -m client_delivery.config.check``, with the rules of one environment. YAML is data: it must not be
able to hand files to an account that nobody agreed with, or to put them where they would be taken for a client's. The
roles' policies deny the same (``infra/permissions.py``, ``infra/data_stack.py``).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from client_delivery.config import check
from client_delivery.config.document import Document
from client_delivery.config.loader import Rule
from client_delivery.config.model import ClientConfig
from client_delivery.config.problem import quoted
from infra.settings import ENVIRONMENTS, Environment, SettingsError, load

_FILE = f"{ENVIRONMENTS.parent.name}/{ENVIRONMENTS.name}"


def rules_of(environment: Environment) -> tuple[Rule, ...]:
    """The rules of one environment, for :func:`client_delivery.config.loader.load_directory`."""

    def accounts(config: ClientConfig, document: Document) -> None:
        for section in ("pickup", "destination"):
            role = getattr(getattr(config, section), "role_arn", None)
            if role:
                _refuse_role(document, section, role, environment)

    def own_pickups(config: ClientConfig, document: Document) -> None:
        destination = config.destination
        if destination.type == "s3" and destination.bucket in environment.owned_pickup_buckets:
            document.report(
                ("destination", "bucket"),
                f"{quoted(destination.bucket)}, where clients' files are picked up",
                "a bucket that no pick-up is in",
                "Files delivered there would be taken for a client's, sent on and deleted.",
            )

    return accounts, own_pickups


def _refuse_role(document: Document, section: str, role: str, environment: Environment) -> None:
    account, name = role.split(":")[4], role.partition(":role/")[2]
    if account not in environment.partner_accounts:
        listed = ", ".join(environment.partner_accounts) or "none so far"
        document.report(
            (section, "role_arn"),
            f"a role of the account {account}",
            f"a role of an account that is listed ({listed})",
            f"If it is the right account, have it added to `partner_accounts` in {_FILE}/{environment.name}.yaml.",
        )
    elif account == environment.account and name.startswith(environment.prefix):
        document.report(
            (section, "role_arn"),
            f"{quoted(name)}, one of this environment's own roles",
            "a role of whoever owns the bucket",
            "Leave `role_arn` out: the environment's own role is used then.",
        )


def main(arguments: Sequence[str]) -> int:
    """Check; returns the exit code of ``check-config``."""
    try:
        environment = load(arguments[0])
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    return check.main(arguments[1:], rules=rules_of(environment))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
