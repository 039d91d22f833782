"""Long attacks, one promise each: `make soak` runs them, `make test` does not."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from tests.soak import commands
from tests.soak.ground import Ground, prepare


@pytest.fixture(scope="session")
def forking() -> Iterator[None]:
    """A server that forks commands."""
    with commands.forking():
        yield


@pytest.fixture(scope="session")
def ground(forking: None, tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """Images, weights, and runs that nobody disturbs."""
    return prepare(tmp_path_factory.mktemp("ground"))


@pytest.fixture
def bounded() -> Iterator[None]:
    """At most 4 GiB more memory than this process has."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    commands.limit_memory(4 * 2**30)
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)
