"""What is done to a file's content on its way: compressed, then encrypted (R6.13)."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from client_delivery.config.destinations import Section
from client_delivery.config.names import ConnectionId, pattern_field
from client_delivery.config.openpgp import BEGIN_PUBLIC, END_PUBLIC
from client_delivery.config.refusal import refusal

Compression = Literal["gzip", "zip", "zstd"]
SUFFIXES = {"gzip": ".gz", "zip": ".zip", "zstd": ".zst"}
LONGEST_KEY = 32 * 1024
"""Characters of an armored public key. One with the signatures of many others is larger, and is to be exported without
them; all recipients' keys are in the order of a container, and in the ledger while a run is under way."""
KEYS = "keys"
"""The folder, beside the configurations, with keys in files of their own."""
_FILE = re.compile(rf"{KEYS}/[A-Za-z0-9_][A-Za-z0-9_.@-]{{0,99}}")


def is_key_file(value: object) -> bool:
    """Whether what stands in the place of a key names a file with one."""
    return isinstance(value, str) and bool(_FILE.fullmatch(value))


def _check_key(value: str) -> str:
    text = value.strip()
    if not text.startswith(BEGIN_PUBLIC) or not text.endswith(END_PUBLIC) or text.count("-----BEGIN ") != 1:
        raise refusal(
            "one armored public key, or the name of a file with one, such as keys/acme.asc",
            f"It begins with `{BEGIN_PUBLIC}`, as `gpg --armor --export` writes it; in YAML write `- |` and the block"
            " indented below it.",
            found="something else",
        )
    if len(text) > LONGEST_KEY:
        raise refusal(
            f"a key of at most {LONGEST_KEY // 1024} KiB",
            "Export it without the signatures of others: `gpg --armor --export-options export-minimal --export …`.",
            found=f"a key of {len(text)} characters",
        )
    return text + "\n"


PublicKey = Annotated[
    str, AfterValidator(_check_key), WithJsonSchema({"type": "string", "minLength": 1, "maxLength": LONGEST_KEY})
]
Suffix = Annotated[
    str, *pattern_field(r"\.[A-Za-z0-9]{1,10}(\.[A-Za-z0-9]{1,10})?", "a suffix such as '.pgp', of letters and digits")
]


class EncryptSection(Section, title="Encryption"):
    """OpenPGP: for whom files are encrypted, and who signs them."""

    recipients: Annotated[tuple[PublicKey, ...], Field(strict=False)] = Field(
        min_length=1,
        max_length=20,
        title="Recipients",
        description="The public keys that files are encrypted for; each of their owners can read them. Write the "
        "armored key itself (`- |` and the block below it), or the name of a file in "
        "`include/client_configs/keys/`.",
        examples=[["keys/acme.asc"]],
    )
    sign_with: ConnectionId | None = Field(
        default=None,
        title="Signing key",
        description="The Airflow connection with our private key that signs the files: the armored key unchanged, or "
        "as `private_key` of its extra, with `private_key_passphrase`. Without it, files are not signed.",
        examples=["our_pgp_key"],
    )
    armor: bool = Field(
        default=False,
        title="Armor",
        description="`true`: the file is text (ASCII armor), and a third larger. `false`: it is binary.",
        examples=[True],
    )
    suffix: Suffix = Field(
        default=".pgp",
        title="Suffix",
        description="The suffix of an encrypted file's name, added after that of the compression.",
        examples=[".gpg"],
    )
