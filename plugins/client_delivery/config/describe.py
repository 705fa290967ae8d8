"""A configuration, or what is wrong with one, as Markdown for its DAG's page in the Airflow UI (R2.6).

Values from the file are data: they are escaped and cannot format, link or script anything on the page.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from client_delivery.config.acknowledgement import Acknowledgement, in_words
from client_delivery.config.delivered import example, has_companions
from client_delivery.config.guards import ExpectedFiles, GuardsSection
from client_delivery.config.model import ClientConfig, S3Section, SftpSection
from client_delivery.config.problem import ConfigError
from client_delivery.config.sending_window import SendingWindow


def describe(config: ClientConfig, *, look_seconds: int = 45) -> str:
    """What happens to this client's files: where they wait, when and where they are sent, who is told.

    :param look_seconds: between two looks for what has come, in this environment.
    """
    rows = [
        ("Client", _client(config)),
        ("Pick-up", _pickup(config)),
        ("Destination", _destination(config)),
        ("Credential", _credential(config)),
        ("Starts", _schedule(config, look_seconds)),
        *([("Sending may begin", _window(config, config.window))] if config.window else []),
        *([("Expected", _expected(config))] if config.expected else []),
        ("Already sent before", _repeats(config)),
        ("E-mails", _notifications(config)),
        *([("Other messages", _rules(config))] if config.notify else []),
        *([("Delivered as", _names(config))] if config.deliver_as is not None else []),
        *([("Also delivered", _companions(config))] if has_companions(config) else []),
        *([("Acknowledged by", _acknowledgement(config.acknowledgement))] if config.acknowledgement else []),
        *([("Guards", _guards(config.guards))] if config.guards is not None and config.guards.any else []),
        *([("On the way", _treatment(config))] if config.treated else []),
    ]
    table = "\n".join(f"| {name} | {text} |" for name, text in rows)
    # Airflow's page has a base element: without a slash before it the address holds behind a path prefix as well.
    history = f"[History](dags/{config.name}/plugin/deliveries-of-client)"
    return (
        f"Delivers the files of client **{_escape(config.delivery_key)}**. {history}: every file that was delivered "
        f"or failed.\n\n| | |\n|---|---|\n{table}\n\nConfigured in `{config.name}.yaml`; make every change there; it "
        "takes effect with the next run. To pause, write `paused: true` there: Airflow's switch freezes a run that "
        "is under way.\n"
    )


def describe_error(dag_id: str, error: ConfigError) -> str:
    """The problems of the configuration of the DAG ``dag_id``, and that nothing is delivered meanwhile."""
    items = "\n".join(f"- {_escape(line)}" for line in str(error).splitlines())
    return (
        f"**The configuration of {_escape(dag_id)} is wrong, and nothing is delivered for it.** Files stay in the "
        f"pick-up; the other clients go on.\n\n{items}\n\nFix the file, check it with `make check-config` and deploy "
        "it. This page then describes the delivery.\n"
    )


def describe_settings_error(problems: Sequence[str]) -> str:
    """What is wrong with the environment's settings."""
    items = "\n".join(f"- {_escape(problem)}" for problem in problems)
    return (
        "**Settings of this environment are wrong. Each is treated as not set until it is corrected; the clients' "
        f"deliveries go on.**\n\n{items}\n\nThey are MWAA's Airflow configuration options `delivery.…`; "
        "`docs/operators/settings.md` has all of them. This DAG goes away when all are right.\n"
    )


def describe_removed(dag_id: str) -> str:
    """That the file of the DAG ``dag_id`` is gone, and what becomes of the run that it had."""
    return (
        f"**The configuration `{_escape(dag_id)}.yaml` has been removed while a run had files in hand.** No "
        "other run starts. That run finishes as it began: it delivers, sends its e-mails and sets its files "
        "inactive. Then this DAG goes away.\n"
        "\n"
        "If that run was ended by hand, trigger this DAG once. The new run is red and sets inactive what the "
        "ended one left.\n"
    )


def _guards(guards: GuardsSection) -> str:
    """What a file must be like."""
    told = [
        "no empty file" if guards.not_empty else "",
        f"at least {guards.min_size:,} bytes" if guards.min_size is not None else "",
        f"at most {guards.max_size:,} bytes" if guards.max_size is not None else "",
        f"within {guards.size_within}% of the usual size" if guards.size_within is not None else "",
        f"unchanged for {int(guards.stable_for.total_seconds())} s" if guards.stable_for is not None else "",
        "a SHA-256 file beside each" if guards.checksum_files else "",
        *(_in_a_set(one) for one in guards.expected_files),
    ]
    return f"{', '.join(filter(None, told))}; any other file is held until a person lets it through"


def _names(config: ClientConfig) -> str:
    """What files are called at the destination, with an example."""
    shown = example(config)
    return _escape(f"{config.deliver_as}; for example {shown[0]} as {shown[1]}" if shown else "")


def _companions(config: ClientConfig) -> str:
    """What arrives beside the files."""
    completion = config.completion_file
    told = [
        f"after each file its {config.sidecar}" if config.sidecar else "",
        f"after all of a set {completion.name} ({completion.content})" if completion else "",
    ]
    return _escape("; ".join(filter(None, told)))


def _acknowledgement(acknowledgement: Acknowledgement) -> str:
    """What the recipient puts back."""
    where = f" in {acknowledgement.place}" if acknowledgement.place else ""
    return _escape(
        f"{acknowledgement.pattern}{where}, within {in_words(acknowledgement.within)}; its absence is reported"
    )


def _treatment(config: ClientConfig) -> str:
    """What is done to the content."""
    compressed = f"compressed with {config.compress}" if config.compress else ""
    encrypted = ""
    if config.encrypt is not None:
        keys = len(config.encrypt.recipients)
        signed = (
            f", signed with the key of the connection {_escape(config.encrypt.sign_with)}"
            if (config.encrypt.sign_with)
            else ", not signed"
        )
        encrypted = f"encrypted (OpenPGP) for {keys} {'key' if keys == 1 else 'keys'}{signed}"
    return f"{', then '.join(filter(None, [compressed, encrypted]))}; arrives as `…{config.suffixes}`"


def _in_a_set(files: ExpectedFiles) -> str:
    most = "" if files.at_most is None else f" to {files.at_most}"
    return f"{files.at_least}{most or ' or more'} like {_escape(files.pattern)} in a set"


def _client(config: ClientConfig) -> str:
    feed = f", feed {_escape(config.feed)}" if config.feed else ""
    return f"{config.client_h_number}{feed}"


def _pickup(config: ClientConfig) -> str:
    pickup = config.pickup
    parts = [_escape(f"s3://{pickup.bucket}/{pickup.prefix}")]
    if pickup.include != ("*",):
        parts.append(f"only {_list(pickup.include)}")
    if pickup.exclude:
        parts.append(f"not {_list(pickup.exclude)}")
    return "; ".join(parts)


def _destination(config: ClientConfig) -> str:
    destination = config.destination
    kind = {"gcs": "Google Cloud Storage", "sftp": "SFTP", "s3": "S3"}[destination.type]
    account = f" as {destination.username}" if isinstance(destination, SftpSection) else ""
    return _escape(f"{destination.uri}{account} ({kind})")


def _credential(config: ClientConfig) -> str:
    destination = config.destination
    if isinstance(destination, S3Section):
        role = destination.role_arn
        return f"the role {_escape(role)}" if role else "the environment's own role"
    return f"the Airflow connection {_escape(destination.connection_id)}"


def _schedule(config: ClientConfig, look_seconds: int) -> str:
    condition = (
        f"if {_escape(config.client_h_number + '.done')} is in the pick-up"
        if config.trigger_on_done_file
        else "if there is any file"
    )
    when = "by hand only"
    if config.schedule and config.cron:
        why = (
            f"; {_escape(config.schedule)}, with a minute derived from the name"
            if config.cron != config.schedule
            else ""
        )
        when = f"by the schedule {_escape(config.cron)} ({config.timezone}{why})"
    if config.paused:
        return f"paused: `paused: true` is set; otherwise {when}, {condition}"
    if config.watched:
        what = "its done file" if config.trigger_on_done_file else "new files"
        return f"on arrival (looks every {look_seconds} s for {what}), and {when}, {condition}"
    return f"{when}, {condition}"


def _window(config: ClientConfig, window: SendingWindow) -> str:
    days = f", {_escape(window.days)}" if window.days else ""
    off = ", never on holidays" if config.holidays else ""
    return f"from {window.begin} to {window.until}{days} ({config.timezone}){off}; until then files wait"


def _expected(config: ClientConfig) -> str:
    return "<br>".join(_escape(one.words) for one in config.expectations)


def _repeats(config: ClientConfig) -> str:
    if config.bypass_file_checks:
        return "a file with the same content is sent again (the checks are bypassed)"
    same = {"content": "the same content", "content_and_name": "the same content and name", "etag": "the same ETag"}
    rest = "and stays in" if config.after_delivery == "keep" else "but deleted from"
    return f"a file with {same[config.dedupe_by]} is not sent again {rest} the pick-up"


def _notifications(config: ClientConfig) -> str:
    if not config.send_notifications:
        return f"none (contacts: {_list(config.contacts)})"
    return f"at the start and at the end, to {_list(config.contacts)}"


def _rules(config: ClientConfig) -> str:
    return "<br>".join(_escape(rule.words) for rule in config.notify)


def _list(values: tuple[str, ...]) -> str:
    return ", ".join(_escape(value) for value in values)


def _escape(text: str) -> str:
    visible = "".join(c if c.isprintable() else " " for c in text)
    return re.sub(r"([\\`*_{}\[\]()#+!|~])", r"\\\1", html.escape(visible, quote=False))
