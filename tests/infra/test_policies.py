"""Policies from configurations (R9.3): least privilege, and within IAM's sizes."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase

import pytest
from policy_sentry.querying.actions import get_action_data

from client_delivery.config.model import ClientConfig
from infra import permissions, pipeline, policies
from infra.boundary import boundary
from infra.clients import ConfigurationsError, load_clients, needs_of
from infra.permissions import Grant
from infra.settings import load

ENVIRONMENT = load("example")


def client(number: int, **changes: object) -> ClientConfig:
    destination = changes.pop("destination", {"type": "gcs", "bucket": "landing", "connection_id": "c"})
    return ClientConfig.model_validate(
        {
            "name": f"client_number_{number:04d}",
            "client_h_number": f"H{10_000 + number}",
            "contacts": ["data@example.com"],
            "send_notifications": False,
            "pickup": {"bucket": "company-client-pickup", "prefix": f"client_number_{number:04d}/"},
            "destination": destination,
            "bypass_file_checks": False,
            "trigger_on_done_file": False,
        }
        | changes
    )


def statements(grants: list[Grant]) -> dict[str, dict[str, object]]:
    return {one["Sid"]: one for document in policies.documents(grants) for one in document["Statement"]}


def test_only_the_prefixes_of_the_configurations_can_be_read_listed_and_cleared():
    found = statements(permissions.container(ENVIRONMENT, needs_of([client(1), client(2)])))
    assert found["PickupRead"]["Resource"] == [
        "arn:aws:s3:::company-client-pickup/client_number_0001/*",
        "arn:aws:s3:::company-client-pickup/client_number_0002/*",
    ]
    assert found["PickupList1"]["Condition"] == {
        "StringLike": {"s3:prefix": ["client_number_0001/*", "client_number_0002/*"]}
    }
    assert "LandingWrite" not in found, "no S3 destination, no right to write to S3"
    assert "PartnerRoles" not in found


@pytest.mark.parametrize(
    ("bus", "arn"),
    [
        ("deliveries", "arn:aws:events:us-east-1:111122223333:event-bus/deliveries"),
        ("arn:aws:events:eu-west-1:444455556666:event-bus/all", "arn:aws:events:eu-west-1:444455556666:event-bus/all"),
    ],
)
def test_only_workers_put_events_and_only_on_the_bus_that_is_set(bus, arn):
    environment, needs = ENVIRONMENT.model_copy(update={"event_bus": bus}), needs_of([client(1)])
    found = statements(permissions.worker(environment, needs))["TellOfDeliveries"]
    assert (found["Action"], found["Resource"]) == (["events:PutEvents"], [arn])
    assert "TellOfDeliveries" not in statements(permissions.container(environment, needs))
    assert "TellOfDeliveries" not in statements(permissions.worker(ENVIRONMENT, needs)), "no bus, no right"
    assert "events:PutEvents" in boundary(environment)[0]["Action"]


def test_nothing_is_ever_written_into_a_pick_up_that_shares_a_bucket_with_landings():
    there = {"type": "s3", "bucket": "company-client-pickup", "prefix": "landed/"}
    needs = needs_of([client(1), client(2, destination=there), client(3, pickup={"bucket": "other", "prefix": "a/"})])
    found = statements(permissions.container(ENVIRONMENT, needs))
    assert found["LandingWrite"]["Resource"] == ["arn:aws:s3:::company-client-pickup/landed/*"]
    assert found["NeverIntoPickups"] == {
        "Sid": "NeverIntoPickups",
        "Effect": "Deny",
        "Action": ["s3:PutObject"],
        "Resource": [f"arn:aws:s3:::company-client-pickup/client_number_{number:04d}/*" for number in (1, 2)],
    }
    assert "NeverIntoPickups" not in statements(permissions.container(ENVIRONMENT, needs_of([client(1)])))


def test_a_role_that_a_configuration_names_stands_in_the_place_of_direct_access():
    role = "arn:aws:iam::111122223333:role/partner"
    there = {
        "type": "s3",
        "bucket": "partner",
        "prefix": "in/",
        "role_arn": role,
        "kms_key": "arn:aws:kms:us-east-1:111122223333:key/0a1b2c3d-0000-4000-8000-000000000000",
    }
    found = statements(permissions.worker(ENVIRONMENT, needs_of([client(1, destination=there)])))
    assert found["PartnerRoles"]["Resource"] == [role]
    assert "partner/in" not in json.dumps(found)
    assert "ObjectKeys" not in found, "the partner's key is used by the partner's role"


def test_a_destination_with_a_key_and_an_acl_brings_just_these_rights():
    key = "arn:aws:kms:us-east-1:111122223333:key/0a1b2c3d-0000-4000-8000-000000000000"
    there = {"type": "s3", "bucket": "landing", "prefix": "in/", "kms_key": key, "acl": "bucket-owner-full-control"}
    found = statements(permissions.container(ENVIRONMENT, needs_of([client(1, destination=there)])))
    assert found["ObjectKeys"]["Resource"] == [key]
    assert found["LandingAcl"]["Resource"] == ["arn:aws:s3:::landing/in/*"]


def test_where_acknowledgements_are_put_can_be_listed_and_nothing_else():
    there = {"type": "s3", "bucket": "landing", "prefix": "in/"}
    section = {"pattern": "{name}.ok", "place": "out"}
    found = statements(
        permissions.worker(ENVIRONMENT, needs_of([client(1, destination=there, acknowledgement=section)]))
    )
    assert found["AcknowledgedList1"]["Action"] == ["s3:ListBucket"]
    assert found["AcknowledgedList1"]["Condition"] == {"StringLike": {"s3:prefix": ["out/*"]}}
    assert json.dumps(found).count("out/") == 1
    beside = client(1, destination=there, acknowledgement={"pattern": "{name}.ok"})
    assert found.keys() - statements(permissions.worker(ENVIRONMENT, needs_of([beside]))).keys() == {
        "AcknowledgedList1"
    }


@pytest.mark.parametrize(
    ("name", "resource", "alias"),
    [
        ("1234abcd-12ab-34cd-56ef-1234567890ab", "key/1234abcd-12ab-34cd-56ef-1234567890ab", None),
        ("alias/landing", "key/*", "alias/landing"),
        ("arn:aws:kms:us-east-1:111122223333:alias/landing", "key/*", "alias/landing"),
    ],
)
def test_keys_by_id_and_alias_become_what_iam_knows(name, resource, alias):
    there = {"type": "s3", "bucket": "landing", "prefix": "in/", "kms_key": name}
    found = statements(permissions.container(ENVIRONMENT, needs_of([client(1, destination=there)])))
    statement = found["ObjectKeysByAlias" if alias else "ObjectKeys"]
    assert statement["Resource"] == [f"arn:aws:kms:us-east-1:111122223333:{resource}"]
    if alias:
        assert statement["Condition"] == {"ForAnyValue:StringEquals": {"kms:ResourceAliases": [alias]}}


def test_no_wildcard_stands_without_its_reason():
    needs = needs_of(load_clients(ENVIRONMENT))
    everything = [
        *permissions.worker(ENVIRONMENT, needs),
        *permissions.mwaa_itself(ENVIRONMENT),
        *permissions.container_start(ENVIRONMENT),
    ]
    for grant in everything:
        names = [*grant.actions, *grant.resources]
        assert bool(grant.wildcard) >= any("*" in name for name in names), grant.sid
        assert not any(action == "*" or action.endswith(":*") for action in grant.actions), grant.sid


@pytest.mark.parametrize("number", [1, 99, 101, 1000, 3000])
def test_any_number_of_clients_in_one_bucket_fits(number):
    documents = policies.documents(permissions.worker(ENVIRONMENT, needs_of(map(client, range(number)))))
    for document in documents:
        assert len(json.dumps(document, separators=(",", ":"))) <= 6144
        assert all(statement["Resource"] for statement in document["Statement"])
    text = json.dumps(documents)
    assert ("client_number_0000/" in text) == (number <= 100), "a bucket of very many prefixes is allowed as a whole"


def with_roles(number: int) -> list[Grant]:
    there = {"type": "s3", "bucket": "landing", "prefix": "in/"}
    roles = [f"arn:aws:iam::{111_122_220_000 + one}:role/partner-landing-writer" for one in range(number)]
    clients = [client(one, destination={**there, "role_arn": role}) for one, role in enumerate(roles)]
    return permissions.worker(ENVIRONMENT, needs_of(clients))


def test_hundreds_of_partners_roles_fit_and_too_many_are_refused_with_a_way_out():
    documents = policies.documents(with_roles(400))
    assert len(documents) + 2 <= 10, "beside MWAA's own and the key's"
    for document in documents:
        assert len(json.dumps(document, separators=(",", ":"))) <= 6144
    with pytest.raises(policies.TooManyGrantsError, match="fewer prefixes"):
        policies.documents(with_roles(1200))


def test_long_prefixes_go_into_as_many_statements_as_they_need():
    prefixes = [f"{'x' * 120}/{number:04d}/" for number in range(100)]
    clients = [
        client(number, pickup={"bucket": "company-client-pickup", "prefix": prefix})
        for number, prefix in enumerate(prefixes)
    ]
    documents = policies.documents(permissions.worker(ENVIRONMENT, needs_of(clients)))
    listed = [
        prefix
        for document in documents
        for statement in document["Statement"]
        if statement["Sid"].startswith("PickupList")
        for prefix in statement["Condition"]["StringLike"]["s3:prefix"]
    ]
    assert listed == [f"{prefix}*" for prefix in prefixes]
    for document in documents:
        assert len(json.dumps(document, separators=(",", ":"))) <= 6144


def test_a_wrong_configuration_makes_no_policy(tmp_path):
    (tmp_path / "acme.yaml").write_text("name: acme\n")
    with pytest.raises(ConfigurationsError, match=r"acme\.yaml"):
        load_clients(ENVIRONMENT, tmp_path)


def formats(action: str) -> set[str]:
    """The ARNs that an action takes, by AWS's service authorization reference (policy_sentry has a copy of it)."""
    service, _, name = action.partition(":")
    known = get_action_data(service, name)
    return (
        {re.sub(r"\$\{[^}]+\}", "*", one["resource_arn_format"]) for one in known.get(service, [])} if known else set()
    )


def whole(resource: str) -> str:
    """A log group's ``:*`` stands for its streams."""
    return resource[:-1] + "log-stream:one" if ":log-group:" in resource and resource.endswith(":*") else resource


def test_every_action_exists_and_takes_the_resources_that_it_is_granted_on():
    needs = needs_of(load_clients(ENVIRONMENT))
    grants = [*permissions.worker(ENVIRONMENT, needs), *permissions.maintenance(ENVIRONMENT)]
    grants += permissions.container_start(ENVIRONMENT)
    wrong = [
        f"{grant.sid}: {action} on {resource}"
        for grant in grants
        for action in grant.actions
        for resource in grant.resources
        if resource != "*" and not any(fnmatchcase(whole(resource), one) for one in formats(action))
    ]
    assert wrong == []
    assert formats("s3:GetObjekt") == set(), "and an action that does not exist would be found"


def test_every_action_of_the_pipelines_roles_and_of_the_boundary_exists():
    roles = pipeline.template(ENVIRONMENT, "owner/repository")["Resources"]
    documents = [
        role["Properties"]["Policies"][0]["PolicyDocument"]
        for role in roles.values()
        if "RoleName" in role["Properties"]
    ]
    found = [one for document in documents for one in document["Statement"]] + boundary(ENVIRONMENT)
    actions = {
        action for one in found for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
    }
    assert {action for action in actions if "*" not in action and not formats(action)} == set()
