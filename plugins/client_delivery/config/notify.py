"""Who hears what (R7): rules that say which messages go to whom, by which way."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from client_delivery.config.contacts import MAX_CONTACTS, EmailAddress, refuse_repeated
from client_delivery.config.destinations import Section
from client_delivery.config.names import ConnectionId, EventBus, SnsTopic
from client_delivery.config.refusal import refusal


class Occasion(StrEnum):
    """The occasions for messages: the words of ``on`` in a rule."""

    STARTED = "started"
    FINISHED = "finished"
    FAILED = "failed"
    HELD = "held"
    LATE = "late"
    RECOVERED = "recovered"
    EXPIRING = "expiring"


MEANINGS: dict[Occasion, str] = {
    Occasion.STARTED: "a delivery has begun",
    Occasion.FINISHED: "a delivery has ended, whatever became of its files",
    Occasion.FAILED: "a delivery has ended, and files of it failed",
    Occasion.HELD: "files that failed still wait for a person; once a day",
    Occasion.LATE: (
        "expected files have not come by their due time, then once a day; or an acknowledgement has not come in time"
    ),
    Occasion.RECOVERED: "files that failed before have been delivered, or late files or acknowledgements have come",
    Occasion.EXPIRING: "a key expires or grows too old: 30, 7 and 1 days before, and on the day",
}


class Audience(StrEnum):
    """Whom a message speaks to."""

    CLIENT = "client"
    """What arrived, what will be retried; nothing of how this system works."""
    TEAM = "team"
    """Why, where to look, and what to do."""


_On = Literal["started", "finished", "failed", "held", "late", "recovered", "expiring"]
Via = Literal["email", "slack", "teams", "webhook", "pagerduty", "sns", "eventbridge"]
_BY_CONNECTION = ("slack", "teams", "webhook", "pagerduty")
_NEEDS = {
    "email": ("to", "to: [jane.doe@example.com]"),
    "sns": ("topic_arn", "topic_arn: arn:aws:sns:us-east-1:111122223333:deliveries"),
    **dict.fromkeys(_BY_CONNECTION, ("connection_id", "connection_id: team_chat")),
}
_BELONGS_TO = {"to": ("email",), "topic_arn": ("sns",), "event_bus": ("eventbridge",)}
MOST_RULES = 20


def _refuse_repeated(occasions: tuple[str, ...]) -> tuple[str, ...]:
    for index, one in enumerate(occasions):
        if one in occasions[:index]:
            raise refusal("each word once", "Remove this one.", found=f"'{one}' again", at=(index,))
    return occasions


class NotifyRule(Section, title="Notification rule"):
    """Which messages go to some addresses, or to one channel."""

    on: Annotated[tuple[_On, ...], Field(strict=False), AfterValidator(_refuse_repeated)] = Field(
        min_length=1,
        title="On",
        description="When to send a message: any of " + ", ".join(f"`{one}`" for one in Occasion) + ".",
        examples=[["failed", "held", "late", "recovered"]],
    )
    via: Via = Field(
        default="email",
        title="Via",
        description="The channel: an e-mail to the addresses in `to`; Slack, Microsoft Teams, a webhook or PagerDuty, "
        "by `connection_id`; or a message on an SNS topic or an EventBridge bus. Only an e-mail comes with "
        "the list of all files.",
        examples=["slack"],
    )
    to: Annotated[tuple[EmailAddress, ...], Field(strict=False), AfterValidator(refuse_repeated)] = Field(
        default=(),
        max_length=MAX_CONTACTS,
        title="To",
        description="The e-mail addresses. Only with `via: email`.",
        examples=[["jane.doe@example.com"]],
    )
    connection_id: ConnectionId | None = Field(
        default=None,
        title="Connection",
        description="The Airflow connection that holds the channel's address or key; [how each is "
        "written](notifications.md#connections). For `sns` and `eventbridge` it is an AWS connection; without "
        "it, the environment's own role is used.",
        examples=["team_chat"],
    )
    topic_arn: SnsTopic | None = Field(
        default=None,
        title="Topic",
        description="The SNS topic. Only with `via: sns`.",
        examples=["arn:aws:sns:us-east-1:111122223333:deliveries"],
    )
    event_bus: EventBus | None = Field(
        default=None,
        title="Event bus",
        description="The name or ARN of the EventBridge bus, if it is not the account's default bus. Only with `via: "
        "eventbridge`.",
        examples=["deliveries"],
    )
    audience: Literal["client", "team"] | None = Field(
        default=None,
        title="Audience",
        description="Whom the messages are written for. `client`: which files arrived and which will be retried, "
        "without internal paths, reasons and links. `team`: the reason, the link to the run, and what to do. "
        "Without it, an address in the domain that the environment's e-mails come from is the team's, any "
        "other address is the client's, and all other channels are the team's.",
        examples=["team"],
    )

    @model_validator(mode="after")
    def _say_where(self) -> NotifyRule:
        needed, example = _NEEDS.get(self.via, ("", ""))
        if needed and not getattr(self, needed):
            raise refusal(
                f"`{needed}` beside `via: {self.via}`", f"Write for example `{example}`.", found=f"no `{needed}`"
            )
        for name, ways in _BELONGS_TO.items():
            if getattr(self, name) and self.via not in ways:
                raise refusal(
                    f"`via: {ways[0]}` with it", f"`via` is {self.via}. Remove the field, or `via`.", at=(name,)
                )
        if self.via == "email" and self.connection_id:
            raise refusal(
                "a `via` that takes it", "E-mails use the environment's own connection.", at=("connection_id",)
            )
        return self

    @property
    def key(self) -> str:
        """The rule's key in the ledger: a change of its addresses alone does not start it over."""
        if self.via == "email":
            return f"email:{self.audience or 'any'}:{'+'.join(sorted(self.on))}"
        where = self.topic_arn or self.event_bus or self.connection_id or "default"
        return f"{self.via}:{where}"

    @property
    def where(self) -> str:
        """Whom or what it goes to, for people."""
        name = {"slack": "Slack", "teams": "Microsoft Teams", "webhook": "a webhook", "pagerduty": "PagerDuty"}
        match self.via:
            case "email":
                return ", ".join(self.to)
            case "sns":
                return f"the SNS topic {self.topic_arn}"
            case "eventbridge":
                return f"the EventBridge bus {self.event_bus or 'default'}"
            case _:
                return f"{name[self.via]} by the connection {self.connection_id}"

    @property
    def words(self) -> str:
        """As a sentence has it."""
        if self.audience is None and self.via == "email":
            speaks = "written for the client, or for the team if an address is in the sender's own domain"
        else:
            speaks = f"written for the {self.audience or Audience.TEAM}"
        return f"{', '.join(self.on)} to {self.where}, {speaks}"


def refuse_twin_rules(rules: tuple[NotifyRule, ...]) -> tuple[NotifyRule, ...]:
    """Refuse two rules that the ledger could not tell apart: each message goes once by each rule."""
    seen: set[str] = set()
    for index, rule in enumerate(rules):
        if rule.key in seen:
            same = "with the same `on` and `audience`" if rule.via == "email" else "for the same channel"
            raise refusal(
                f"one rule {same}",
                "Put the addresses into one rule." if rule.via == "email" else "Put all words into one `on`.",
                found="another rule",
                at=(index,),
            )
        seen.add(rule.key)
    return rules


def rules_on(rules: Iterable[NotifyRule], *occasions: Occasion) -> list[NotifyRule]:
    """The rules for any of these occasions."""
    return [rule for rule in rules if any(one in rule.on for one in occasions)]
