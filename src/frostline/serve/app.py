"""The endpoints."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Security
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from fastapi.security import APIKeyHeader
from starlette.concurrency import run_in_threadpool
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from frostline._version import __version__
from frostline.core.errors import FrostlineError
from frostline.model_format.card import ModelCard
from frostline.serve.access_control import Guard
from frostline.serve.admission import Gate
from frostline.serve.exception_handlers import add_handlers
from frostline.serve.page import ASKING, STATE, PageSettings, render
from frostline.serve.problem_details import ProblemAnswer, RequestError
from frostline.serve.request_middleware import Front
from frostline.serve.request_parsing import arrive, check_query, deadline, in_time
from frostline.serve.response_schemas import (
    Explanation,
    Health,
    Judged,
    Predictions,
    Reloaded,
    State,
)
from frostline.serve.service import Service
from frostline.serve.state import state_of
from frostline.serve.uploads import FILES, Form, Upload

_PATHS = (
    *("/", "/state", "/predict", "/explain", "/feedback", "/reload", "/model", "/state.json"),
    *("/health", "/metrics", "/openapi.json"),
)


def create_app(service: Service, guard: Guard | None = None) -> ASGIApp:
    """Return the ASGI application of one service.

    ``service``: closed when the application shuts down. ``guard``: who may ask; anybody when None.
    """
    guard = guard or Guard()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(service.close)

    app = FastAPI(
        title="Frostline",
        description="Classifies images with one fitted model.",
        version=__version__,
        # the usual documentation pages load scripts from elsewhere
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        responses=_problems(400, 405, *((401,) if guard.api_key else ())),
    )
    add_handlers(app, service.metrics)
    _add_page(app, service, guard)
    _add_reading(app, service, guard)
    _add_working(app, service, guard)
    if service.feedback is not None:
        _add_feedback(app, service, guard)
    if guard.allow_reload:
        _add_reload(app, service, guard)
    found: ASGIApp = Gate(app, guard=guard, limits=service.limits, metrics=service.metrics)
    if guard.origins:
        # outside the gate: a page must be able to read why it was turned away
        found = CORSMiddleware(
            found,
            allow_origins=list(guard.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["X-API-Key", "Authorization"],
        )
    return Front(found, limits=service.limits, metrics=service.metrics, paths=_PATHS)


def _add_page(app: FastAPI, service: Service, guard: Guard) -> None:
    feedback = service.feedback
    settings = PageSettings(
        asks_for_key=guard.api_key is not None,
        takes_feedback=feedback is not None,
        keeps_images=feedback is not None and feedback.keeps_images,
        max_bytes=service.limits.max_bytes,
        max_files=service.limits.max_files,
    )
    asking, state = render(ASKING, settings), render(STATE, settings)

    @app.get("/", response_class=HTMLResponse, summary="The page for people.")
    async def page_for_people() -> Response:
        return HTMLResponse(asking.html, headers={"Content-Security-Policy": asking.policy})

    @app.get("/state", response_class=HTMLResponse, summary="The state as a page for people.")
    async def page_of_state() -> Response:
        return HTMLResponse(state.html, headers={"Content-Security-Policy": state.policy})


def _add_reading(app: FastAPI, service: Service, guard: Guard) -> None:
    locks = _locks(guard)

    @app.get("/model", dependencies=locks, summary="The model card.")
    async def model() -> ModelCard:
        return service.model.card

    @app.get(
        "/state.json",
        dependencies=locks,
        responses=_problems(500),
        summary="What is served, and what people said of its answers.",
    )
    async def state() -> State:
        feedback = service.feedback
        entries = 0 if feedback is None else await run_in_threadpool(len, feedback)
        return state_of(service.served, feedback, entries=entries)

    @app.get(
        "/health",
        summary="Whether the service can answer.",
        responses={503: {"model": Health, "description": "The service is stopping."}},
    )
    async def health(response: Response) -> Health:
        if service.stopping:
            response.status_code = 503
        return Health(
            status="stopping" if service.stopping else "ok",
            frostline=__version__,
            queue=service.queue,
        )

    @app.get(
        "/metrics",
        dependencies=locks,
        response_class=PlainTextResponse,
        summary="Counters for Prometheus.",
    )
    async def metrics() -> Response:
        return PlainTextResponse(
            service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8"
        )


def _add_working(app: FastAPI, service: Service, guard: Guard) -> None:
    locks = _locks(guard)
    trouble = _problems(408, 413, 415, 422, 500, 503)

    @app.post(
        "/predict",
        dependencies=locks,
        responses=trouble,
        openapi_extra=_form(n_files=service.limits.max_files),
        summary="Answer for images: a class, a grade, labels or numbers.",
    )
    async def predict(
        request: Request,
        top: Annotated[
            int | None,
            Query(ge=1, description="List only so many classes or labels, the likeliest."),
        ] = None,
        embeddings: Annotated[
            bool, Query(description="Tell what the model's head reads of every image as well.")
        ] = False,
    ) -> Predictions:
        """One result for every file, in their order. A file that cannot be classified gets an
        error of its own and leaves the others alone."""
        until = deadline(service)
        check_query(request, {"top", "embeddings"})
        with service.memory.share() as share:
            form = await arrive(request, service, share, until)
            work = service.classify(form.files, share, top=top, embeddings=embeddings)
            return await in_time(request, service, work, until)

    @app.post(
        "/explain",
        dependencies=locks,
        responses=trouble,
        openapi_extra=_form(
            n_files=1,
            label={
                "type": "string",
                "description": "The class, label or column to explain; else the answer.",
            },
        ),
        summary="Show where the evidence for an answer lies in one image.",
    )
    async def explain(request: Request) -> Explanation:
        """Parts of the image are blurred in turn; the map shows what the class loses by it, or the
        number. That takes 145 predictions."""
        until = deadline(service)
        check_query(request, ())
        with service.memory.share() as share:
            form = await arrive(request, service, share, until, texts=("label",))
            file = _only(form, "a heat map")
            work = service.explain(file, share, label=form.texts.get("label"))
            return await in_time(request, service, work, until)


def _add_feedback(app: FastAPI, service: Service, guard: Guard) -> None:
    texts = {
        "label": {
            "type": "string",
            "description": "What is right, written as the field label of answers: a class, blank "
            "for none of them; labels or numbers with ; between.",
        },
        "model": {
            "type": "string",
            "description": "Fingerprint of the model that gave the answer, so that feedback never "
            "counts against another one.",
        },
    }

    @app.post(
        "/feedback",
        dependencies=_locks(guard),
        responses=_problems(408, 409, 413, 415, 422, 500, 503, 507),
        openapi_extra=_form(n_files=1, required=("label",), **texts),
        summary="Say what is right for one image.",
    )
    async def feedback(request: Request) -> Judged:
        """The image is asked about again, so that what is kept is what the model says; it is kept
        itself only where the service was told to. A correction that is on the disk is answered."""
        until = deadline(service)
        check_query(request, ())
        with service.memory.share() as share:
            form = await arrive(request, service, share, until, texts=tuple(texts))
            file = _only(form, "feedback")
            if "label" not in form.texts:
                raise RequestError(
                    422,
                    "no_label",
                    name="label",
                    what="the form does not say what is right",
                    expected="a class, labels or numbers in the field 'label'",
                )
            work = service.judge(
                file, share, label=form.texts["label"], model=form.texts.get("model")
            )
            return await in_time(request, service, work, until)


def _add_reload(app: FastAPI, service: Service, guard: Guard) -> None:
    @app.post(
        "/reload",
        dependencies=_locks(guard),
        responses=_problems(409, 422, 500, 503),
        summary="Serve the model that the folder holds by now.",
    )
    async def reload(request: Request) -> Reloaded:
        """It is opened and checked beside the one that is served, and takes its place between two
        requests. Where anything is wrong with it, the earlier one serves on."""
        check_query(request, ())
        try:
            return await service.reload()
        except RequestError:
            raise
        except FrostlineError as error:
            raise RequestError(
                409,
                "not_replaced",
                name="model",
                what=str(error),
                expected="a finished model in the folder; the earlier one serves on",
            ) from None


def _only(form: Form, what: str) -> Upload:
    if len(form.files) > 1:
        raise RequestError(
            422,
            "too_many_files",
            name=FILES,
            what=f"{len(form.files)} files",
            expected=f"one file for {what}",
        )
    return form.files[0]


def _locks(guard: Guard) -> list[Any]:
    """What tells readers of the description about the key; the guard itself checks it."""
    if guard.api_key is None:
        return []
    return [Security(APIKeyHeader(name="X-API-Key", auto_error=False))]


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": ProblemAnswer} for status in statuses}


def _form(*, n_files: int, required: Sequence[str] = (), **texts: dict[str, str]) -> dict[str, Any]:
    """Describe a form: it is read here and not by FastAPI, which would write it to disk."""
    files = {
        "type": "array",
        "minItems": 1,
        "maxItems": n_files,
        "items": {"type": "string", "format": "binary"},
    }
    schema = {
        "type": "object",
        "required": [FILES, *required],
        "properties": {FILES: files, **texts},
        "additionalProperties": False,
    }
    content = {"multipart/form-data": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}
