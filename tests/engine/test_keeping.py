"""Keeping what is never changed: it is an extra that no release may fail for."""

from __future__ import annotations

import pytest

from gradatim.engine.writing import Writer
from gradatim.kube.errors import AlreadyExists, Forbidden, NotFound, Unavailable
from gradatim.ports.objects import CONTROLLER_REVISION, Manifest, Ref

REF = Ref(CONTROLLER_REVISION, "test", "shop-primary-g1-1111111111111111")


class Server:
    """Says what it is told to say."""

    def __init__(self, refusal: Exception | None = None) -> None:
        self.refusal = refusal
        self.there: set[Ref] = set()

    async def create(self, ref: Ref, manifest: Manifest) -> Manifest:
        if self.refusal is not None:
            raise self.refusal
        self.there.add(ref)
        return manifest

    async def delete(self, ref: Ref) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.there.discard(ref)

    def put(self, manifest: Manifest, ref: Ref) -> None: ...

    def remove(self, ref: Ref) -> None: ...


def writer(server: Server) -> Writer:
    return Writer(server, server)  # type: ignore[arg-type]


@pytest.mark.asyncio
async def test_what_is_kept_is_there_until_it_is_forgotten() -> None:
    server = Server()
    await writer(server).keep(REF, {})
    assert server.there == {REF}
    await writer(server).forget(REF)
    assert server.there == set()


@pytest.mark.asyncio
@pytest.mark.parametrize("refusal", [AlreadyExists("there"), Forbidden("no such right"), NotFound("no such kind")])
async def test_a_refusal_holds_nothing_up(refusal: Exception) -> None:
    await writer(Server(refusal)).keep(REF, {})


@pytest.mark.asyncio
@pytest.mark.parametrize("refusal", [Forbidden("no such right"), NotFound("gone")])
async def test_what_cannot_be_forgotten_stays(refusal: Exception) -> None:
    await writer(Server(refusal)).forget(REF)


@pytest.mark.asyncio
async def test_a_server_that_is_away_is_tried_again_with_the_rest() -> None:
    with pytest.raises(Unavailable):
        await writer(Server(Unavailable("away"))).keep(REF, {})
