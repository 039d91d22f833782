"""Whatever is sent, the answer is one that the description names."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from frostline.model.model import Model
from frostline.onnx_graph.session import Answers
from frostline.serve.access_control import Guard
from frostline.serve.app import create_app
from frostline.serve.feedback import Feedback
from frostline.serve.limits import Limits
from frostline.serve.service import Service

pytestmark = pytest.mark.slow

_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


KEY = "a-key"


@pytest.fixture(scope="module")
def described(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Any:
    # what the network says plays no role here, only that everything around it is real
    quick = copy.copy(model)
    even = [1 / len(model.classes)] * len(model.classes)
    quick.answer_prepared = lambda images, **_: Answers(  # type: ignore[method-assign]
        np.array([even] * len(images)), np.ones(len(images))
    )
    limits = Limits()
    feedback = Feedback(tmp_path_factory.mktemp("feedback"), limits)
    service = Service(quick, limits, load=lambda: quick, feedback=feedback)
    app = create_app(service, Guard(api_key=KEY, allow_reload=True))

    async def never_stopped(scope: Scope, receive: Receive, send: Send) -> None:
        # each case comes from a client of its own, whose end would end the service
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        for stage in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{stage}.complete"})

    return schemathesis.openapi.from_asgi("/openapi.json", never_stopped)


_READ = [
    *(("GET", "/"), ("GET", "/model"), ("GET", "/health"), ("GET", "/metrics")),
    *(("GET", "/state"), ("GET", "/state.json"), ("POST", "/reload")),
]
_WORK = [("POST", "/predict"), ("POST", "/explain"), ("POST", "/feedback")]
#: what is made up is no image, which is an answer of its own only where there are many
_ONE_IMAGE = ("/explain", "/feedback")


@pytest.mark.parametrize(
    ("method", "path", "mode"),
    [
        *((*endpoint, GenerationMode.POSITIVE) for endpoint in (*_READ, *_WORK)),
        *((*endpoint, GenerationMode.NEGATIVE) for endpoint in _WORK),
    ],
)
def test_answers_are_as_described(
    described: Any, method: str, path: str, mode: GenerationMode
) -> None:
    seen = []

    @given(case=described[path][method].as_strategy(generation_mode=mode))
    @settings(
        # a heat map blurs the image 144 times
        max_examples=8 if path in _ONE_IMAGE else 40,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def check(case: schemathesis.Case) -> None:
        answer = case.call_and_validate(checks=_CHECKS, headers={"X-API-Key": KEY})
        seen.append(answer.status_code)

    check()
    assert seen
    if mode is GenerationMode.NEGATIVE:
        # not all: a form cannot tell one file from a list of one
        assert any(400 <= status < 500 for status in seen)
    elif path not in _ONE_IMAGE:
        assert set(seen) == {200}


def test_every_endpoint_is_tried(described: Any) -> None:
    found = {(o.ok().method.upper(), o.ok().path) for o in described.get_all_operations()}
    assert found == {*_READ, *_WORK}


_FORM = (
    b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n'
    b"Content-Type: image/png\r\n\r\n\x89PNG\r\n\x1a\n\r\n--x--\r\n"
)
_edits = st.lists(
    st.tuples(st.integers(0, len(_FORM)), st.integers(0, 20), st.binary(max_size=12)), max_size=4
)


@given(edits=_edits)
@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_damaged_forms_get_an_answer(
    client: TestClient, edits: list[tuple[int, int, bytes]]
) -> None:
    body = _FORM
    for place, removed, added in edits:
        body = body[:place] + added + body[place + removed :]
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = client.post("/predict", content=body, headers=headers)
    if answer.status_code == 200:
        assert all(result["error"]["what"] for result in answer.json()["results"])
    else:
        assert answer.status_code in (400, 413, 422)
        assert set(answer.json()["error"]) == {"kind", "name", "what", "expected"}
