"""One page for a partner, from the configuration: what we do on their side, what we need there, and why (R2.8)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from client_delivery.config.acknowledgement import FIELDS, in_words
from client_delivery.config.delivered import example
from client_delivery.config.name_template import fields_of
from client_delivery.probe.sheet_destinations import for_gcs, for_s3, for_sftp
from client_delivery.probe.sheet_parts import FILL_IN, Ours, Section, Table

if TYPE_CHECKING:
    from client_delivery.config.model import ClientConfig


def sheet(config: ClientConfig, ours: Ours) -> list[Section]:
    """The page. A part that begins with four spaces is code."""
    destination = config.destination
    match destination.type:
        case "sftp":
            own = list(for_sftp(destination, ours))
        case "gcs":
            own = list(for_gcs(destination, ours))
        case _:
            own = list(for_s3(destination, ours))
    return [
        Section(
            f"File delivery to {destination.uri}",
            [
                f"We deliver files for the client {config.client_h_number}"
                f"{f' ({config.feed})' if config.feed else ''} to {destination.uri}. This page says what we need on "
                "your side, and why. It is generated from the configuration of our deliveries.",
            ],
        ),
        *own,
        Section(
            "Names and repetitions",
            [
                f"{_names(config)} A new file replaces an older one of the same name. We deliver the same content "
                "once, unless somebody here asks for it again.",
                *_companions(config),
            ],
        ),
        *([Section("How to acknowledge a file", list(_acknowledgement(config)))] if config.acknowledgement else []),
        *([Section("How to open the files", list(_treatment(config)))] if config.treated else []),
        Section(
            "Whom to call",
            [
                Table(
                    [
                        ("For", "Call or write to"),
                        ("keys, passwords, firewalls, and this page", ours.call or FILL_IN),
                        ("our e-mails about deliveries go to", ", ".join(config.contacts)),
                        ("your technical contact", FILL_IN),
                    ]
                ),
                "Tell us before a host key, a password, a certificate or an address changes. We refuse anything that "
                "we do not know, and files then wait.",
            ],
        ),
    ]


_LISTING_RIGHTS = {
    "sftp": "the account must be allowed to list that directory",
    "gcs": "our account needs storage.objects.list on the bucket",
    "s3": "our role needs s3:ListBucket on the bucket, for that prefix",
}


def _acknowledgement(config: ClientConfig) -> Iterator[str]:
    section = config.acknowledgement
    if section is None:
        return
    where = f"in {section.place}" if section.place else "where we deliver"
    yield (
        f"For each of our files, please put a file back {where} within {in_words(section.within)} after ours "
        "has arrived. The content of your file does not matter to us. Its name is"
    )
    yield f"    {section.pattern}"
    for name in dict.fromkeys(fields_of(section.pattern)):
        yield f"{{{name}}} stands for {FIELDS[name]}."
    yield (
        f"We look for it there ({_LISTING_RIGHTS[config.destination.type]}); we do not read, rename or remove it. "
        "Please leave it there for a day, and write a new one when a file comes again."
    )


_OPEN = {"gzip": ".gz: gunzip FILE", "zip": ".zip: unzip FILE", "zstd": ".zst: zstd --decompress FILE"}


def _treatment(config: ClientConfig) -> Iterator[str]:
    if (encrypt := config.encrypt) is not None:
        yield (
            "Each file is an OpenPGP message (RFC 4880, RFC 9580), encrypted for the public keys that you gave us. "
            "GnuPG opens it with your private key:"
        )
        yield f"    gpg --output FILE --decrypt FILE{encrypt.suffix}"
        yield (
            "It is signed. Import the public key that we give you; gpg then prints 'Good signature from …'. Refuse any "
            "file without that line."
            if encrypt.sign_with
            else "It is not signed."
        )
        yield "Tell us 30 days before your key expires, and at once if it was lost: send us the new public key."
    if config.compress:
        yield f"{'Its content' if config.encrypt else 'Each file'} is compressed. To open"
        yield f"    {_OPEN[config.compress]}"


def _companions(config: ClientConfig) -> Iterator[str]:
    if config.sidecar:
        yield (
            f"A checksum file follows each file. Its name is the file's with '.{config.sidecar}' added, and it holds "
            f"the checksum as '{config.sidecar}sum' writes it."
        )
    if (completion := config.completion_file) is not None:
        inside = {
            "empty": "It is empty",
            "names": "It lists their names, one per line",
            "csv": "It lists their names, sizes and SHA-256 checksums as CSV",
            "json": "It is a JSON object with their names, sizes and SHA-256 checksums",
        }[completion.content]
        yield "When all files of a set have arrived, and never before, we deliver a completion file called"
        yield f"    {completion.name}"
        yield f"{inside}. Please take the files of a set only when it is there."


def _names(config: ClientConfig) -> str:
    shown = example(config)
    if shown is None:
        return "Each file keeps the name and the folders under which we received it."
    how = f", by the rule {config.deliver_as}" if config.deliver_as else ""
    return f"We rename each file{how}: a file that we receive as {shown[0]} arrives as {shown[1]}."
