"""A provider to log in with."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fixtures.oidc_provider import OidcProvider, providing


@pytest.fixture
async def peer() -> AsyncIterator[OidcProvider]:
    """An OpenID provider that runs."""
    async with providing() as provider:
        yield provider
