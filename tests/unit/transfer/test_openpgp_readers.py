"""What is encrypted here is read by those who did not write it: GnuPG, and RNP (R6.13)."""

from __future__ import annotations

import os

import pytest

from client_delivery.transfer.secret import Secret
from client_delivery.transfer.treatment.encryption import Encryption, read_recipient, read_signer
from tests.support.openpgp import key

MIB = 1024**2
CONTENTS = {"empty": b"", "small": b"name;born\n" * 500, "in pieces": os.urandom(5 * MIB + 3)}


@pytest.fixture(params=["recipient", "rnp_recipient"])
def reader(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("armor", [False, True], ids=["binary", "armored"])
@pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])
@pytest.mark.parametrize("content", CONTENTS)
def test_every_reader_decrypts_and_verifies(reader, content, signed, armor):
    signer = read_signer(Secret("ours", extra={"private_key": key("ours.private")})) if signed else None
    recipients = tuple(read_recipient(key(name)) for name in ("good", "rsa3072"))
    how, whole = Encryption(recipients, signer, armor), CONTENTS[content]
    streamed = b"".join(how.stream(iter([whole[at : at + MIB] for at in range(0, len(whole), MIB)])))
    for message in (how.whole(whole), streamed):
        read = reader.reads(message)
        assert read.content == whole
        assert read.signed_by == ("ours@example.org" if signed else None)
