"""The application: every noun's routes over one set of control objects."""

from fastapi import FastAPI

from xingliu import __version__
from xingliu.api import (
    arrays,
    attach,
    blobs,
    bulk,
    changes,
    cloud,
    errors,
    events,
    flavors,
    health,
    jobs,
    keys,
    logs,
    nodes,
    pools,
    projects,
    queues,
    schedules,
    secrets,
    snapshots,
    tenants,
    usage,
    users,
)
from xingliu.api.limits import BodyLimit
from xingliu.control.services import Services

_NOUNS = (
    health, cloud, jobs, bulk, arrays, schedules, logs, attach, blobs, events, usage, nodes, queues, flavors, pools,
    tenants, projects, users, keys, secrets, snapshots, changes,
)  # fmt: skip


def create_app(services: Services) -> FastAPI:
    """The HTTP face of these control objects. Needs no lifespan events."""
    app = routes()
    app.state.services = services
    app.state.streams = changes.Streams()
    app.state.terminals = attach.Terminals()
    return app


def routes() -> FastAPI:
    """All routes and their documentation, with nothing behind them."""
    app = FastAPI(
        title="Xingliu",
        summary="An AI cloud, from bare servers to the income statement.",
        version=__version__,
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses={
            "default": {
                "description": "What went wrong, with the way out.",
                "content": {errors.ProblemResponse.media_type: {"schema": {"$ref": "#/components/schemas/ProblemOut"}}},
            }
        },
    )
    errors.install(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(errors.Unexpected)
    for noun in _NOUNS:
        app.include_router(noun.router)
    return app
