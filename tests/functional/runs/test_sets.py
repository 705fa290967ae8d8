"""R12: what arrives beside the files: checksum files, and the completion file once all of a set is there."""

from __future__ import annotations

import csv
import hashlib
import io
import json

import pytest

from client_delivery.ledger.entry import Status
from client_delivery.ledger.numbers import Numbers
from client_delivery.ledger.sets import Sets
from client_delivery.run import companions

BIG = bytes(range(256)) * 80 * 1024
"""20 MiB: sent in parts, while it is read once more."""


def of_set(content: str = "empty", name: str = "{client}.complete") -> dict[str, str]:
    return {"name": name, "content": content}


def complete(client) -> str:
    return f"{client.config.client_h_number}.complete"


def visible(client) -> list[str]:
    return [name for name, _, _ in client.became_visible()]


@pytest.mark.parametrize("kind", ["s3", "gcs", "sftp"])
def test_checksum_files_and_a_manifest_arrive_after_the_files(scenario, kind):
    client = scenario(
        kind, completion_file=of_set("json"), sidecar="sha256", deliver_as="{stem}-1{ext}", trigger_on_done_file=True
    )
    files = {"a-1.csv": b"a", "b-1.csv": b"", "big-1.bin": BIG}
    for name, content in files.items():
        client.drop(name.replace("-1", ""), content)
    client.drop_done()
    client.watch()
    run = client.run()
    assert run.state == "success", run.errors
    delivered = client.delivered()
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    assert {name: delivered[name] for name in files} == files
    for name, digest in sums.items():
        assert delivered[f"{name}.sha256"] == f"{digest}  {name}\n".encode()
    assert json.loads(delivered[complete(client)]) == {
        "count": 3,
        "total": len(BIG) + 1,
        "files": [{"name": name, "size": len(files[name]), "sha256": sums[name]} for name in sorted(files)],
    }
    assert len(delivered) == 7
    if kind != "s3":
        seen = visible(client)
        assert seen[-1] == complete(client), "never before what it speaks for"
        assert {*seen[:3]} == {*files}
    assert f"{complete(client)}: delivered" in client.mails()[-1].text
    [row] = [
        row
        for row in csv.DictReader(io.StringIO(next(iter(client.mails()[-1].attachments.values()))))
        if row["file"] == "a.csv"
    ]
    assert f"sha256:{sums['a-1.csv']}" in row["checksum"]
    client.run()
    assert client.delivered() == delivered, "once"


def test_a_set_of_which_a_file_fails_is_complete_when_it_has_been_cleared(scenario):
    client = scenario("gcs", completion_file=of_set("names", "{client}_{sequence}.complete"))
    first, second = (f"{client.config.client_h_number}_{number}.complete" for number in (1, 2))
    client.drop("a.csv", "a")
    client.drop("b.csv", "b")
    client.gcs_faults({"call": "PutObject", "path": "b.csv", "status": 403, "code": "forbidden", "times": 0})
    run = client.run()
    assert run.state == "failed"
    assert client.delivered() == {"a.csv": b"a"}
    assert f"{first}: not yet" in client.mails()[-1].text
    client.run()
    client.drop("c.csv", "c")
    client.gcs_faults()
    client.clear(run)
    # What came meanwhile is a set of its own, which the cleared run registered.
    assert client.delivered() == {
        **{"a.csv": b"a", "b.csv": b"b", "c.csv": b"c"},
        **{first: b"a.csv\nb.csv\n", second: b"c.csv\n"},
    }


def test_a_set_of_which_a_file_is_held_is_complete_when_a_person_lets_it_through(scenario):
    client = scenario("s3", completion_file=of_set("csv"), guards={"not_empty": True})
    client.drop("a.csv", "a")
    client.drop("empty.csv", "")
    assert client.run().state == "failed"
    assert list(client.delivered()) == ["a.csv"]
    assert client.run(resend_failed=True, reason="it is right").state == "success"
    told = list(csv.DictReader(io.StringIO(client.delivered()[complete(client)].decode())))
    assert [(row["name"], row["size"], row["count"], row["total"]) for row in told] == [
        ("a.csv", "1", "2", "1"),
        ("empty.csv", "0", "2", "1"),
    ]


def test_a_set_is_complete_without_what_a_person_has_dismissed(scenario):
    client = scenario("s3", completion_file=of_set("names"), guards={"not_empty": True})
    client.drop("a.csv", "a")
    client.drop("empty.csv", "")
    assert client.run().state == "failed"
    client.run(dismiss=[client.entries()["empty.csv"].identity])
    client.run()
    assert client.delivered()[complete(client)] == b"a.csv\n"


def test_what_cannot_be_delivered_beside_the_files_is_tried_by_the_next_run(scenario):
    client = scenario("gcs", completion_file=of_set(), sidecar="md5")
    client.drop("a.csv", "a")
    client.gcs_faults({"call": "PutObject", "path": "md5|complete", "status": 403, "code": "forbidden", "times": 0})
    run = client.run()
    assert run.state == "failed"
    assert "The files are there, but not all that belongs beside them" in str(run.errors["report"])
    assert client.delivered() == {"a.csv": b"a"}
    assert client.entries()["a.csv"].status is Status.SUCCESS
    client.gcs_faults()
    assert client.run().state == "success"
    assert client.delivered() == {
        "a.csv": b"a",
        "a.csv.md5": f"{hashlib.md5(b'a').hexdigest()}  a.csv\n".encode(),
        complete(client): b"",
    }
    assert client.run().executed == ["register_files"]


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("where", "what"),
    [
        (Numbers, "give"),
        (Sets, "note"),
        (Sets, "seal"),
        (companions, "_deliver"),
        (Sets, "completed"),
        (Sets, "settled"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_whatever_breaks_off_the_completion_file_comes_with_its_number(scenario, monkeypatch, where, what, when):
    """The kills of real processes are in the fault campaign."""
    breaks_off_at(scenario, monkeypatch, where, what, when)


def test_a_completion_file_whose_delivery_breaks_off_comes_once(scenario, monkeypatch):
    breaks_off_at(scenario, monkeypatch, Sets, "completed", "before")


def breaks_off_at(scenario, monkeypatch, where, what, when):
    client = scenario("gcs", completion_file=of_set("names", "{client}_{sequence}.complete"))
    client.drop("a.csv", "a")
    step, broken = getattr(where, what), []

    def breaks_off(*args, **kwargs):
        if not broken and when == "before":
            broken.append(1)
            raise OSError("the worker is lost")
        found = step(*args, **kwargs)
        if not broken:
            broken.append(1)
            raise OSError("the worker is lost")
        return found

    monkeypatch.setattr(where, what, breaks_off)
    client.run()
    client.run()
    assert broken
    number = client.config.client_h_number
    assert client.delivered() == {"a.csv": b"a", f"{number}_1.complete": b"a.csv\n"}
    assert client.run().executed == ["register_files"]
    client.drop("b.csv", "b")
    assert client.run().state == "success"
    assert client.delivered()[f"{number}_2.complete"] == b"b.csv\n"


def test_the_manifest_goes_to_the_contacts_where_it_is_asked_for(scenario):
    client = scenario("s3", completion_file=of_set("json", "out/{client}.json") | {"to_contacts": True})
    client.drop("a.csv", "a")
    assert client.run().state == "success"
    number = client.config.client_h_number
    attached = client.mails()[-1].attachments
    assert attached[f"{number}.json"].encode() == client.delivered()[f"out/{number}.json"]
    assert sorted(attached) == [f"{number}-files.csv", f"{number}.json"]


def test_files_go_in_the_order_that_is_asked_for(scenario):
    client = scenario("gcs", order="size")
    for name, size in (("a.csv", 300), ("b.csv", 20), ("c.csv", 100)):
        client.drop(name, name[0] * size)
    client.run()
    assert visible(client) == ["b.csv", "c.csv", "a.csv"]


def test_a_client_without_any_of_it_has_nothing_of_it(scenario):
    client = scenario("s3")
    client.drop("a.csv", "a")
    client.run()
    item = client.entries()["a.csv"].item
    assert not {"setId", "digests", "sidecarAt", "deliveredName", "namedBy"} & item.keys()
