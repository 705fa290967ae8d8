"""From a configuration's destination to its engine: what is needed for it, told where it is missing."""

from __future__ import annotations

import pytest

from client_delivery.config.destinations import SftpSection
from client_delivery.transfer.contract import DestinationUnavailable
from client_delivery.transfer.delivering.destinations import open_destination, open_listing
from client_delivery.transfer.gcs.destination import GcsDestination
from client_delivery.transfer.listing import Limit
from client_delivery.transfer.reading.held import HeldFiles
from client_delivery.transfer.s3.destination import S3Destination
from tests.unit.transfer.scripted_service import gcs_config, s3_config

SFTP = SftpSection.model_construct(type="sftp", connection_id="acme")
"""Nothing more is looked at."""


@pytest.mark.parametrize("config", [s3_config(), gcs_config(), SFTP], ids=lambda config: config.type)
def test_a_destination_without_what_it_needs_is_unavailable_and_says_why(config):
    needed = "S3 identity" if config.type == "s3" else f"type {config.type!r} needs a credential"
    with pytest.raises(DestinationUnavailable, match=needed):
        open_destination(config, secret=None, source_s3=HeldFiles(), destination_s3=None, gcs_endpoint="")
    with pytest.raises(DestinationUnavailable, match=needed):
        open_listing(config, place=None, secret=None, destination_s3=None, gcs_endpoint="", limit=Limit(1))


def test_each_kind_has_its_engine(service):
    made = open_destination(
        s3_config(), secret=None, source_s3=HeldFiles(), destination_s3=service.s3(), gcs_endpoint=""
    )
    assert isinstance(made, S3Destination)
    made = open_destination(
        gcs_config(),
        secret=service.gcs_secret(),
        source_s3=HeldFiles(),
        destination_s3=None,
        gcs_endpoint=service.url,
    )
    assert isinstance(made, GcsDestination)
