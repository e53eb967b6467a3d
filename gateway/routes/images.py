"""/api/v1/images: the pictures that were kept; read with the scope records:read, deleted with records:delete."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from gateway.keys.records import iso
from gateway.records.image import ImagePage, ImageUrl, shown
from gateway.routes.records_door import RecordsVisit, admitted, deleted, json

PATH = "/api/v1/images"


def routes() -> list[Route]:
    """To be mounted by the application as they are."""
    one = f"{PATH}/{{image_id}}"
    return [
        Route(PATH, admitted({"GET": _list}), methods=["GET"]),
        Route(one, admitted({"GET": _one, "DELETE": _delete}), methods=["GET", "DELETE"]),
        Route(f"{one}/content", admitted({"GET": _content}), methods=["GET"]),
        Route(f"{one}/url", admitted({"GET": _url}), methods=["GET"]),
    ]


async def _list(visit: RecordsVisit) -> Response:
    cursor, limit = visit.page()
    images = await visit.images.page(visit.key_id, cursor, limit + 1)
    more = images[limit - 1].id if len(images) > limit else None
    return json(ImagePage([shown(image) for image in images[:limit]], more))


async def _one(visit: RecordsVisit) -> Response:
    return json(shown(await visit.images.one(visit.key_id, visit.id("image_id"))))


async def _content(visit: RecordsVisit) -> Response:
    image, data = await visit.images.content(visit.key_id, visit.id("image_id"))
    return Response(data, media_type=image.media_type, headers={"ETag": f'"{image.sha256}"'})


async def _url(visit: RecordsVisit) -> Response:
    url, expires_at = await visit.images.url(visit.key_id, visit.id("image_id"))
    return json(ImageUrl(url, iso(expires_at)))


async def _delete(visit: RecordsVisit) -> Response:
    return deleted(whole=await visit.images.delete(visit.key_id, visit.id("image_id")))
