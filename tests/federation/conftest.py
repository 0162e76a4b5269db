"""What every test of the federation can ask for."""

from tests.federation.peer import make_peer as make_peer
