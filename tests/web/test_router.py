"""The router finds exactly what a slow search through all routes would find."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.matrix_error import InvalidParam, Unrecognized
from web.endpoint import Auth, Endpoint
from web.router import Router, decode_segment

V3 = "/_matrix/client/v3"


async def _serve(call: Any) -> dict[str, Any]:
    return {}


def _endpoint(method: str, path: str, *also: str) -> Endpoint:
    return Endpoint(method, path, Auth.NONE, _serve, also=also)


def _found(router: Router, method: str, path: str) -> tuple[str, dict[str, str]]:
    match = router.find(method, path)
    return match.endpoint.path, dict(match.path)


def test_parameters_are_decoded_after_the_path_was_split() -> None:
    router = Router([_endpoint("GET", V3 + "/rooms/{roomId}/state/{eventType}/{stateKey}")])
    found = router.find("GET", V3 + "/rooms/%21a%2Fb:one/state/m.x/%C3%A9%2525")
    assert found.path == {"roomId": "!a/b:one", "eventType": "m.x", "stateKey": "é%25"}


def test_the_empty_state_key_has_its_own_paths() -> None:
    state = V3 + "/rooms/{roomId}/state/{eventType}"
    router = Router([_endpoint("GET", state + "/{stateKey}", state, state + "/")])
    for path in (V3 + "/rooms/!r/state/m.x", V3 + "/rooms/!r/state/m.x/"):
        assert router.find("GET", path).path == {"roomId": "!r", "eventType": "m.x"}


def test_a_parameter_is_never_empty() -> None:
    router = Router([_endpoint("GET", V3 + "/profile/{userId}")])
    with pytest.raises(Unrecognized):
        router.find("GET", V3 + "/profile/")


def test_a_literal_is_preferred_and_left_again_where_it_leads_nowhere() -> None:
    router = Router(
        [
            _endpoint("GET", "/profile/{userId}/displayname"),
            _endpoint("DELETE", "/profile/{userId}/{keyName}"),
            _endpoint("GET", "/profile/me/too/far"),
        ]
    )
    assert _found(router, "GET", "/profile/a/displayname") == (
        "/profile/{userId}/displayname",
        {"userId": "a"},
    )
    # The literal path has no DELETE, but the general one has.
    assert _found(router, "DELETE", "/profile/a/displayname")[1] == {"userId": "a", "keyName": "displayname"}
    assert _found(router, "DELETE", "/profile/me/x")[1] == {"userId": "me", "keyName": "x"}


def test_head_is_served_as_get() -> None:
    assert _found(Router([_endpoint("GET", "/media/{id}")]), "HEAD", "/media/7")[1] == {"id": "7"}


def test_unknown_paths_and_wrong_methods_are_told_apart() -> None:
    router = Router([_endpoint("GET", V3 + "/account/whoami")])
    with pytest.raises(Unrecognized) as unknown:
        router.find("GET", V3 + "/account/whoami/")
    assert unknown.value.status == 404
    with pytest.raises(Unrecognized) as wrong:
        router.find("DELETE", V3 + "/account/whoami")
    assert wrong.value.status == 405


def test_two_endpoints_cannot_claim_one_path() -> None:
    with pytest.raises(ValueError, match="claimed by"):
        Router([_endpoint("GET", "/a/{x}"), _endpoint("GET", "/b", "/a/{y}")])


@pytest.mark.parametrize("raw", ["%ff", "a%C3", "\udcff", "x%00y", "%ED%A0%80"])
def test_what_is_not_utf8_or_has_nul_is_an_invalid_parameter(raw: str) -> None:
    with pytest.raises(InvalidParam):
        decode_segment(raw)


SEGMENT = st.sampled_from(["a", "b", "%2F", "{x}", "{y}", ""])
PATH = st.lists(SEGMENT, min_size=1, max_size=5).map(lambda segments: "/" + "/".join(segments))
METHOD = st.sampled_from(["GET", "PUT"])


def _slowly(routes: dict[tuple[str, str], Endpoint], method: str, path: str) -> set[str] | int:
    """All routes that fit, or the status of the refusal."""
    fitting = {
        (verb, pattern)
        for verb, pattern in routes
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(pattern)), path)
    }
    right = {pattern for verb, pattern in fitting if verb == method}
    return right or (405 if fitting else 404)


def _shape(path: str) -> str:
    return re.sub(r"\{\w+\}", "{}", path)


@given(st.lists(st.tuples(METHOD, PATH), max_size=25), METHOD, PATH)
def test_the_walk_agrees_with_a_search_through_all_routes(
    declared: list[tuple[str, str]], method: str, path: str
) -> None:
    routes = {(verb, _shape(pattern)): _endpoint(verb, pattern) for verb, pattern in declared}
    router = Router(routes.values())
    expected = _slowly({(verb, e.path): e for (verb, _), e in routes.items()}, method, path)
    if isinstance(expected, int):
        with pytest.raises(Unrecognized) as refused:
            router.find(method, path)
        assert refused.value.status == expected
    else:
        # Of those that fit it is the one with the earliest literals.
        best = min(expected, key=lambda p: [s.startswith("{") for s in p.split("/")])
        assert router.find(method, path).endpoint.path == best


def test_old_clients_find_the_same_under_the_old_name() -> None:
    router = Router([_endpoint("GET", V3 + "/profile/{userId}"), _endpoint("GET", "/_matrix/client/v1/x")])
    assert _found(router, "GET", "/_matrix/client/r0/profile/a") == (
        V3 + "/profile/{userId}",
        {"userId": "a"},
    )
    with pytest.raises(Unrecognized):
        router.find("GET", "/_matrix/client/r0/x")
