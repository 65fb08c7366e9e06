"""Whoever plays a role has everything that is asked of it."""

import pytest

from gateway.wire import bucket, document, form_upload, reply, roles, streamed, upload
from gateway.wire.exchange import Exchange
from gateway.wire.server import ClientConnection
from gateway.wire.upstream import UpstreamConnection


def asked(role: type) -> set[str]:
    return {name for part in role.__mro__ for name in vars(part) if not name.startswith("_")}


@pytest.mark.parametrize(
    ("player", "role"),
    [
        (ClientConnection, roles.ClientSide),
        (Exchange, roles.Answering),
        (Exchange, roles.Uploading),
        (UpstreamConnection, roles.Outlet),
        (upload.Held, roles.Upload),
        (document.Document, roles.Upload),
        (bucket.BucketDocument, roles.Upload),
        (bucket.Creating, roles.Sink),
        (bucket.Removing, roles.Sink),
        (Exchange, roles.Asking),
        (streamed.Streamed, roles.Upload),
        (form_upload.FormUpload, roles.Upload),
        (reply.Relay, roles.Sink),
        (reply.Rebuild, roles.Sink),
        (reply.FormAnswer, roles.Sink),
        (reply.Trickle, roles.Sink),
        (reply.Listing, roles.Sink),
    ],
)
def test_every_player_can_do_what_its_role_asks(player: type, role: type) -> None:
    assert {name for name in asked(role) if not callable(getattr(player, name, None))} <= {
        "body_unread",
        "client",
        "authorized",
        "sent",
    }
