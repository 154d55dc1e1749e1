"""AlertProvider: a chat room or a service that hears how releases go."""

from __future__ import annotations

import msgspec

from gradatim.api.canary import ObjectRef, Spec


class AlertProviderSpec(Spec, frozen=True):
    """`spec` of an AlertProvider; `secret_ref` names a Secret in the provider's namespace whose address wins."""

    type: str
    channel: str = ""
    username: str = ""
    address: str = ""
    proxy: str = ""
    secret_ref: ObjectRef | None = None


class AlertProvider(msgspec.Struct, frozen=True):
    """An AlertProvider as read from the API server."""

    name: str
    namespace: str
    spec: AlertProviderSpec
