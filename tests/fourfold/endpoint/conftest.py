from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from support.endpoint import Bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    with ExitStack() as stack:
        yield Bench(stack)
