"""What one field of a configuration asks of another.

Each function is a validator of the field that is named first; ``info.data`` has the fields before it that are right.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydantic_core.core_schema import ValidationInfo

from client_delivery.config.after_delivery import Archive
from client_delivery.config.destinations import S3Section
from client_delivery.config.name_template import asks_for_done_file, check, fields_of
from client_delivery.config.patterns import refuse_not_taken
from client_delivery.config.pickup import PickupSection
from client_delivery.config.places import overlap
from client_delivery.config.problem import quoted
from client_delivery.config.refusal import refusal

if TYPE_CHECKING:
    from client_delivery.config.acknowledgement import Acknowledgement
    from client_delivery.config.after_delivery import AfterDelivery
    from client_delivery.config.companions import CompletionFile
    from client_delivery.config.destinations import DestinationSection
    from client_delivery.config.expected_files import Expected
    from client_delivery.config.guards import GuardsSection


def refuse_empty_fields(template: str | None, info: ValidationInfo) -> str | None:
    """Refuse a template one of whose fields would have no value."""
    if template is None or "name_pattern" not in info.data:
        return template
    pattern = info.data["name_pattern"]
    groups = re.compile(pattern).groupindex if pattern else {}
    check(template, groups)
    _refuse_empty_feed(template, info)
    if asks_for_done_file(template, groups) and info.data.get("trigger_on_done_file") is False:
        raise refusal("`trigger_on_done_file: true` beside it", "{done_file} is its first line.", found="{done_file}")
    return template


def refuse_acknowledgement_alone(
    acknowledgement: Acknowledgement | None, info: ValidationInfo
) -> Acknowledgement | None:
    """Refuse an acknowledgement that nobody would look for, or whose pattern would have an empty field."""
    if acknowledgement:
        _refuse_empty_feed(acknowledgement.pattern, info, at=("pattern",))
    if acknowledgement and _only_by_hand(info):
        raise refusal(
            "a `schedule` with it",
            "With `schedule: null` there are no runs by the clock, and only those notice that it has not come.",
            found="a section",
        )
    return acknowledgement


def refuse_what_cannot_come(expected: tuple[Expected, ...], info: ValidationInfo) -> tuple[Expected, ...]:
    """Refuse what would be reported as late every day, since it can never come, or never, since nobody looks."""
    if expected and _only_by_hand(info):
        raise refusal(
            "a `schedule` with it",
            "With `schedule: null` there are no runs by the clock, and only those notice that files are late. "
            "Leave `schedule` out for every 15 minutes.",
            found="a list",
        )
    if isinstance(pickup := info.data.get("pickup"), PickupSection):
        for number, one in enumerate(expected):
            refuse_not_taken(one.files, pickup.prefix, pickup.include, pickup.exclude, at=(number, "files"))
    return expected


def refuse_arrival_alone(trigger: str, info: ValidationInfo) -> str:
    """Refuse runs on arrival without a schedule as their safety net."""
    if trigger == "on_arrival" and _only_by_hand(info):
        raise refusal(
            "a `schedule` with it",
            (
                "With `schedule: null`, no run resumes what an earlier run has left. Write a sparse schedule, "
                "such as `H * * * *`."
            ),
            found=quoted(trigger),
        )
    return trigger


def refuse_completion_without_feed(completion: CompletionFile | None, info: ValidationInfo) -> CompletionFile | None:
    """Refuse a completion file whose name would have an empty field."""
    if completion:
        _refuse_empty_feed(completion.name, info, at=("name",))
    return completion


def refuse_guards_alone(guards: GuardsSection | None, info: ValidationInfo) -> GuardsSection | None:
    """Refuse guards that nothing could meet, or that would hold what is merely early."""
    if guards is not None and guards.expected_files and info.data.get("trigger_on_done_file") is False:
        raise refusal(
            "`trigger_on_done_file: true` with it",
            "Only a done file says when a set should be complete.",
            found="a list",
            at=("expected_files",),
        )
    early = info.data.get("trigger") == "on_arrival" and info.data.get("trigger_on_done_file") is False
    if guards is not None and guards.checksum_files and guards.stable_for is None and early:
        raise refusal(
            "`stable_for` with it, or a done file",
            "With `trigger: on_arrival` a file starts a run as soon as it is there, and would be held because its "
            "checksum file is still on its way.",
            found=quoted(guards.checksum_files),
            at=("checksum_files",),
        )
    if guards is not None and isinstance(pickup := info.data.get("pickup"), PickupSection):
        for number, one in enumerate(guards.expected_files):
            at = ("expected_files", number, "pattern")
            refuse_not_taken(one.pattern, pickup.prefix, pickup.include, pickup.exclude, at=at)
    return guards


def refuse_loop(destination: DestinationSection, info: ValidationInfo) -> DestinationSection:
    """Refuse a destination whose files would be picked up again."""
    pickup = info.data.get("pickup")
    if (
        isinstance(destination, S3Section)
        and isinstance(pickup, PickupSection)
        and destination.bucket == pickup.bucket
        and overlap(destination.prefix, pickup.prefix)
    ):
        raise refusal(
            "a destination outside the pick-up",
            f"The pick-up is {quoted(pickup.prefix)} in the same bucket: files would be delivered over and over.",
            found=quoted(destination.prefix),
            at=("prefix",),
        )
    return destination


def refuse_archive_in_pickup(after: AfterDelivery, info: ValidationInfo) -> AfterDelivery:
    """Refuse an archive whose files would be picked up again."""
    pickup = info.data.get("pickup")
    if isinstance(after, Archive) and isinstance(pickup, PickupSection) and overlap(after.archive, pickup.prefix):
        raise refusal(
            "a prefix outside the pick-up",
            f"The pick-up is {quoted(pickup.prefix)}: archived files would be taken for new ones.",
            found=quoted(after.archive),
            at=("archive",),
        )
    return after


def _refuse_empty_feed(template: str, info: ValidationInfo, *, at: tuple[str, ...] = ()) -> None:
    if "feed" in fields_of(template) and info.data.get("feed", "") is None:
        raise refusal("`feed` beside it", "{feed} stands for it.", found="{feed}", at=at)


def _only_by_hand(info: ValidationInfo) -> bool:
    return "schedule" in info.data and info.data["schedule"] is None
