"""Exceptions from the policy scanner's rules: each with its reason, where it is made."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

_PACKS = {"HIPAA": "HIPAA.Security", "AwsSolutions": "AwsSolutions"}


def explain(construct: Construct, **reasons: str) -> None:
    """Tell the scanner why its rule does not hold here; the names are the rules', with ``_`` for ``-``."""
    for rule, reason in reasons.items():
        pack, _, name = rule.partition("_")
        cdk.Validations.of(construct).acknowledge(cdk.Acknowledgment(id=f"{_PACKS[pack]}-{name}", reason=reason))
