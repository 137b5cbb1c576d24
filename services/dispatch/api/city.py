"""What the map in the browser asks for: how to draw it and, once imported, the city's streets."""

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import FileResponse, JSONResponse

from services.dispatch.city import NoStreets, streets_file, style
from services.kit.errors import DomainError
from services.kit.http.edge import Caller, needs

TILES_URL = "/ville/streets.pmtiles"

PROBLEMS: dict[type[DomainError], int] = {NoStreets: 404}


def city_router(data_dir: Path) -> APIRouter:
    """Return the routes under `/ville`, over what `city.import_extract` left in the service's data folder."""
    router = APIRouter(tags=["ville"])

    @router.get("/ville/style.json")
    def read_style(caller: Annotated[Caller, needs()]) -> JSONResponse:  # noqa: ARG001 - it only has to be somebody
        """Return the map's style (MapLibre, version 8): plain ground, and the streets once they were imported."""
        content: dict[str, Any] = style(data_dir, TILES_URL)
        return JSONResponse(content, headers={"Cache-Control": "no-cache"})

    @router.get(TILES_URL, response_class=FileResponse)
    def read_streets(caller: Annotated[Caller, needs()]) -> FileResponse:  # noqa: ARG001
        """Return the city's vector tiles (PMTiles), whole or the range that is asked for."""
        path = streets_file(data_dir)
        if not path.is_file():
            raise NoStreets("Importez d'abord un extrait OpenStreetMap : tournee city import FICHIER.osm.pbf")
        # Browsers keep ranges for an hour; the entity tag changes with the file and the reader starts over.
        headers = {"Cache-Control": "private, max-age=3600"}
        return FileResponse(path, media_type="application/vnd.pmtiles", headers=headers)

    return router
