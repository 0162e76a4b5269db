"""`scripts/bench NAME`: runs one benchmark, prints a table and, as the last line, one JSON object."""

from __future__ import annotations

import argparse
import asyncio
import json

from benchmarks import (
    ceilings,
    disk,
    fanout,
    federation,
    idle,
    large_room,
    login,
    media,
    push,
    push_gateway,
    resolution,
    room_size,
    search,
    send,
    sliding,
    sync,
)
from benchmarks.peers import GENERATOR_CORE, pin, synapse_is_here

BENCHMARKS = {
    "send": send,
    "room-size": room_size,
    "fanout": fanout,
    "idle": idle,
    "sync": sync,
    "sliding": sliding,
    "login": login,
    "media": media,
    "disk": disk,
    "ceilings": ceilings,
    "resolution": resolution,
    "search": search,
    "federation": federation,
    "large-room": large_room,
    "push": push,
    "push-gateway": push_gateway,
}


def main() -> None:
    """Reads the command line and runs."""
    names = "\n".join(f"  {name:<13}{module.__doc__}" for name, module in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measures on this machine: the server and its PostgreSQL on one core, the load on another.",
        epilog=f"benchmarks:\n{names}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=BENCHMARKS, metavar="NAME", help="which benchmark (below)")
    parser.add_argument(
        "--no-peer", action="store_true", help="do not run Synapse beside, even if it is installed"
    )
    parser.add_argument(
        "--scale", type=float, default=1.0, help="do so many times as much (0.1: a quick look)"
    )
    arguments = parser.parse_args()
    pin(GENERATOR_CORE)
    peer = not arguments.no_peer and synapse_is_here()
    figures = asyncio.run(BENCHMARKS[arguments.name].run(peer, arguments.scale))
    print(json.dumps({"bench": arguments.name, "figures": figures}))


if __name__ == "__main__":
    main()
