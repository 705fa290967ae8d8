"""The trigger form (R9.1). What its fields do is in ``run/asked.py`` and ``run/context.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import Param

from client_delivery.run.again import MOST

if TYPE_CHECKING:
    from client_delivery.config.model import ClientConfig


def form_of(config: ClientConfig) -> dict[str, Any]:
    """The fields of a client's form, as a DAG's parameters."""
    return {
        "bypass_file_checks": Param(
            config.bypass_file_checks,
            type="boolean",
            title="Bypass file checks",
            description="Send every waiting file, even if it was sent before. Delivered files are removed from "
            "the pick-up.",
        ),
        "resend_failed": Param(
            False,
            type="boolean",
            title="Resend failed files",
            description="Also send the files that failed in an earlier run and are held in the pick-up.",
        ),
        "file_pattern": Param(
            None,
            type=["null", "string"],
            title="Only files like",
            description="Send only files whose name below the pick-up's prefix matches this pattern, for example "
            "claims_*.csv. Leave it empty for all files. The done file stays as long as any file is left out.",
        ),
        "ignore_done_file": Param(
            False,
            type="boolean",
            title="Ignore the done file",
            description="Send the waiting files now, without the done file. Has no effect for clients that send none.",
        ),
        "ignore_window": Param(
            False,
            type="boolean",
            title="Send outside the window",
            description="Send the waiting files now, whatever the configuration's window says.",
        ),
        "acknowledge_late": Param(
            None,
            type=["null", "string"],
            maxLength=1000,
            title="Acknowledge late files",
            description=(
                "Ends the reminders of the files that are late now. Write down the reason; it is kept in the log."
            ),
        ),
        "reason": Param(
            None,
            type=["null", "string"],
            title="Reason",
            description="Why you trigger the run. The record of each file keeps the reason. With 'Resend failed "
            "files' it also lets through the files that a guard holds; without a reason they stay held.",
        ),
        "send_notifications": Param(
            config.send_notifications,
            type="boolean",
            title="Send e-mails",
            description="Send the 'Job started' and 'Job finished' e-mails of this run.",
        ),
        "only_test_destination": Param(
            False,
            type="boolean",
            title="Only test the destination: deliver nothing",
            description="Log in to the destination from here, write a small test file, and remove it again. No file is "
            "delivered, registered or removed, and no e-mail is sent. The result is in the log of the task "
            "test_destination, and on the Deliveries page.",
        ),
        "only_plan": Param(
            False,
            type="boolean",
            title="Only say what would happen",
            description="Say for each waiting file whether it would be sent, held, removed or left, and why. The other "
            "choices in this form count. Nothing is changed, and no e-mail is sent. The table is in the log of "
            "the task say_plan.",
        ),
        "send_again": Param(
            [],
            type="array",
            items={"type": "string"},
            maxItems=MOST,
            title="Send again",
            description="Send these files again, and no others. The Deliveries page fills this in.",
        ),
        "dismiss": Param(
            [],
            type="array",
            items={"type": "string"},
            maxItems=MOST,
            title="Dismiss",
            description="Stop holding these files, and send nothing. The Deliveries page fills this in.",
        ),
        "wait_minutes": Param(
            0,
            type="integer",
            minimum=0,
            maximum=24 * 60,
            title="Wait for files (minutes)",
            description="If no file is waiting yet, keep looking for this long instead of ending at once.",
        ),
    }
