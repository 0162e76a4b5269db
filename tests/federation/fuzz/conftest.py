"""What is other here than in the tests around."""

import pytest


@pytest.fixture(autouse=True)
def senders_wait() -> None:
    """As in the product: answers are to come within a second."""
