"""Every operation of the specification is served as it says, or stands in not_yet.txt; nothing else is served unsaid."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from types import ModuleType

import client_api
import federation
import media_repo
import push_gateway
from tests.spec.facts import Operation, lines, operations
from web.endpoint import Endpoint, routes_under
from web.router import Router

EDGES: tuple[ModuleType, ...] = (client_api, federation, media_repo, push_gateway)


@cache
def served() -> tuple[Endpoint, ...]:
    """All endpoints that the edges declare."""
    return tuple(endpoint for edge in EDGES for endpoint in routes_under(edge))


def shape(path: str) -> str:
    """The path without the names of its parameters."""
    return re.sub(r"\{\w+\}", "{}", path)


def by_route() -> dict[tuple[str, str], tuple[str, Endpoint]]:
    """Method and shape of every served path, with the path as declared."""
    return {(e.method, shape(path)): (path, e) for e in served() for path in e.paths}


def implemented() -> Iterator[tuple[Operation, str, Endpoint]]:
    """The operations that are served, the declared path, and by what."""
    routes = by_route()
    for operation in operations():
        route = routes.get((operation.method, shape(operation.path)))
        if route is not None:
            yield operation, *route


def expect_none(found: Iterable[object], advice: str) -> None:
    """Fails with all that was found, a line each."""
    listed = sorted(map(str, found))
    assert not listed, f"{advice}:\n" + "\n".join(listed)


def snake(name: str) -> str:
    """`getRoomState` -> `get_room_state`, `add3PID` -> `add_3pid`."""
    name = re.sub("3PID(s?)", r"_3pid\1_", name, flags=re.IGNORECASE).rstrip("_")
    snaked = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    return snaked.replace("__", "_")


def test_every_operation_is_served_or_said_not_to_be_yet() -> None:
    done = {operation.line for operation, _, _ in implemented()}
    known = {operation.line for operation in operations()}
    not_yet = list(lines("not_yet.txt"))
    expect_none(known - done - set(not_yet), "not served: serve it, or say so in not_yet.txt")
    expect_none(done & set(not_yet), "served: strike it out of not_yet.txt")
    expect_none(set(not_yet) - known, "not in the specification")
    assert not_yet == sorted(set(not_yet)), "not_yet.txt is to be sorted, each line once"


def test_parameters_have_the_specifications_names() -> None:
    wrong = [f"{path}, not {o.path}" for o, path, _ in implemented() if o.path != path]
    expect_none(wrong, "parameters have other names")


def test_each_operation_asks_for_the_specifications_authentication() -> None:
    wrong = [f"{o.line}: {e.auth}, not {o.auth}" for o, _, e in implemented() if o.auth is not e.auth]
    expect_none(wrong, "other authentication")


# What /rooms/{roomId}/join does, to which guests have access: matrix-js-sdk knows this path only.
MORE_FOR_GUESTS = {"client-server POST /_matrix/client/v3/join/{roomIdOrAlias}"}


def test_guests_are_let_in_where_the_specification_does() -> None:
    wrong = {
        o.line: e.guest
        for o, _, e in implemented()
        if o.auth.value == "user" and o.guest is not None and o.guest is not e.guest
    }
    assert wrong == dict.fromkeys(MORE_FOR_GUESTS, True)


def test_what_is_documented_to_be_rate_limited_has_a_limit() -> None:
    unlimited = [o.line for o, _, e in implemented() if o.rate_limited and e.limit is None]
    expect_none(unlimited, "429 is documented, so declare limit=")


def test_a_function_is_named_after_an_operation_that_it_serves() -> None:
    names: dict[str, set[str]] = {}
    for operation, _, endpoint in implemented():
        names.setdefault(f"{endpoint.serve.__module__}.{endpoint.name}", set()).add(
            snake(operation.operation_id)
        )
    wrong = [f"{name}: {sorted(ids)}" for name, ids in names.items() if name.rpartition(".")[2] not in ids]
    expect_none(wrong, "not named after what they serve")


def test_what_is_not_in_the_specification_stands_in_extra() -> None:
    known = {(o.method, shape(o.path)) for o in operations()}
    # r0 is the name that v3 had before v1.1, and bots still use it.
    known |= {(method, path.replace("/v3/", "/r0/", 1)) for method, path in known}
    routes = {f"{method} {path}" for (method, _), (path, _) in by_route().items()}
    spoken = {f"{m} {path}" for (m, s), (path, _) in by_route().items() if (m, s) in known}
    extra = list(lines("extra.txt"))
    expect_none(routes - spoken - set(extra), "say in extra.txt why this is served")
    expect_none(set(extra) - (routes - spoken), "not served, or in the specification: strike it out")
    assert extra == sorted(set(extra)), "extra.txt is to be sorted, each line once"


def test_no_two_endpoints_claim_one_path() -> None:
    assert Router(served()).endpoints
