"""Where the API server keeps what."""

from __future__ import annotations

from urllib.parse import quote

from gradatim.kube.errors import Invalid
from gradatim.ports.objects import Ref, Resource


def collection_path(resource: Resource, namespace: str = "") -> str:
    """Where all objects of a kind live; without a namespace, those of all namespaces."""
    root = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    if namespace and resource.namespaced:
        return f"{root}/namespaces/{quote(namespace, safe='')}/{resource.plural}"
    return f"{root}/{resource.plural}"


def object_path(ref: Ref, subresource: str = "") -> str:
    """Where one object lives. A nameless path would mean the whole collection, so it is refused."""
    if not ref.name or (ref.resource.namespaced and not ref.namespace):
        raise Invalid(f"{ref}: an object needs a name, and a namespace where its kind has one", about=ref)
    path = f"{collection_path(ref.resource, ref.namespace)}/{quote(ref.name, safe='')}"
    return f"{path}/{subresource}" if subresource else path
