"""Search: words and how they are put together, what is said of results, pages, groups, context."""

from __future__ import annotations

from typing import Any

import pytest

from services.search import find, walk
from storage.search.patience import TooLong
from tests.client_api.searching import edit, found, ids, search
from tests.fixtures.client import Client


@pytest.fixture
async def room(alice: Client, bob: Client) -> str:
    """A public room of Alice's with Bob in it."""
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    return room


async def test_an_event_is_found_by_its_body_at_once(alice: Client, room: str) -> None:
    event_id = await alice.send(room, "hello, world")
    results = await search(alice, "hello", keys=["content.body"], filter={"rooms": [room]})
    assert results["count"] == 1
    assert "rank" in results["results"][0]
    result = results["results"][0]["result"]
    assert (result["event_id"], result["room_id"], result["type"]) == (event_id, room, "m.room.message")
    assert result["content"]["body"] == "hello, world"
    assert results["highlights"] == ["hello"]
    assert "next_batch" not in results
    assert "groups" not in results
    assert "state" not in results


TERMS = [
    ("apple", "A B"),
    ("apple pie", "A"),
    ("PIE Apple", "A"),
    ('"apple pie"', "A"),
    ('"pie apple"', ""),
    ("apple -pie", "B"),
    ("apple NOT pie", "B"),
    ('apple -"apple pie"', "B"),
    ("pie OR tart", "A B C"),
    ("apple tart OR cherry", "B C"),
    ("cher*", "C"),
    ("cher", ""),
    ("*herr*", "C"),
    ("*erry", "C"),
    ("*herr* -tart", ""),
    ("apple AND tart", "B"),
    ("eclair", "D"),
    ("ÉCLAIR", "D"),
    ("strasse", "D"),
    ("crème", "C"),
    ("example.com", "D"),
    ("com example", "D"),
    ('"com example"', ""),
    ("-apple", ""),
    ("OR", ""),
    ("", ""),
    ("!!! ??? ((", ""),
    ('"', ""),
    ("pie'':*&|!<->", "A"),
    ("🎂", "D"),
]


async def test_words_phrases_and_what_is_not_wanted(alice: Client, room: str) -> None:
    texts = {
        "A": "An apple pie",
        "B": "apple, but as a tart",
        "C": "Cherry tart with creme",
        "D": "Éclair in the Straße 🎂: https://example.com/a",
    }
    sent = {await alice.send(room, text): name for name, text in texts.items()}
    assert {term: await _named(alice, term, sent) for term, _ in TERMS} == dict(TERMS)


OTHER_TERMS = [
    ("東京", "J"),
    ("京都", "C J"),
    ("都", "C J"),
    ("東京都", "J"),
    ("東都", ""),
    ("京都大学", "C"),
    ("カタカナ", "J"),
    ("ｶﾀｶﾅ", "J"),
    ("검색", "K"),
    ("인터넷", "K"),
    ("넷검", "K"),
    ("สวัสดี", "T"),
    ("ครับ", "T"),
    ("हिन्दी", "H"),
]


async def test_languages_without_spaces(alice: Client, room: str) -> None:
    texts = {
        "J": "東京都に行くカタカナ",
        "C": "我在京都大学",
        "K": "인터넷검색에서 찾았다",
        "T": "สวัสดีครับ",
        "H": "यह हिन्दी है",
    }
    sent = {await alice.send(room, text): name for name, text in texts.items()}
    assert {term: await _named(alice, term, sent) for term, _ in OTHER_TERMS} == dict(OTHER_TERMS)


async def _named(client: Client, term: str, sent: dict[str, str]) -> str:
    return " ".join(sorted(sent[event_id] for event_id in await found(client, term)))


async def test_names_and_topics_are_found_where_they_are_asked_for(alice: Client, room: str) -> None:
    name = await alice.set_state(room, "m.room.name", {"name": "Garden talk"})
    topic = await alice.set_state(room, "m.room.topic", {"topic": "All about the garden"})
    body = await alice.send(room, "my garden")
    assert await found(alice, "garden") == [body, topic, name]
    assert await found(alice, "garden", keys=["content.name"]) == [name]
    assert await found(alice, "garden", keys=["content.topic", "content.body"]) == [body, topic]
    assert await found(alice, "garden", keys=[]) == []
    await alice.set_state(room, "m.room.name", {"name": "Garden talk"}, "not the name")
    assert await found(alice, "garden", filter={"types": ["m.room.name"]}) == [name]
    assert await found(alice, "garden", filter={"types": ["m.room.t*"]}) == [topic]
    assert await found(alice, "garden", filter={"types": ["m.room.message"]}) == [body]
    assert await found(alice, "garden", filter={"not_types": ["m.room.message"]}) == [topic, name]


async def test_filters_of_senders_rooms_and_urls(alice: Client, bob: Client, room: str) -> None:
    other = await alice.create_room()
    first = await alice.send(room, "cake")
    second = await bob.send(room, "cake")
    third = await alice.send(other, {"msgtype": "m.image", "body": "cake", "url": "mxc://one.example/a"})
    assert await found(alice, "cake") == [third, second, first]
    assert await found(alice, "cake", filter={"rooms": [room]}) == [second, first]
    assert await found(alice, "cake", filter={"not_rooms": [room]}) == [third]
    assert await found(alice, "cake", filter={"senders": [bob.user_id]}) == [second]
    assert await found(alice, "cake", filter={"not_senders": [bob.user_id]}) == [third, first]
    assert await found(alice, "cake", filter={"contains_url": True}) == [third]
    assert await found(alice, "cake", filter={"contains_url": False}) == [second, first]
    assert await found(alice, "cake from:bob") == [second]
    assert await found(alice, f"cake from:{alice.user_id}") == [third, first]
    assert await found(alice, "cake from:bo") == []
    assert await found(alice, "cake", filter={"rooms": []}) == []
    assert await found(alice, "cake", filter={"senders": []}) == []
    await bob.send(room, {"m.relates_to": {"rel_type": "m.thread", "event_id": first}, "body": "a"})
    assert await found(alice, "cake", filter={"related_by_rel_types": ["m.thread"]}) == [first]
    assert await found(alice, "cake", filter={"related_by_senders": [bob.user_id]}) == [first]
    assert await found(alice, "cake", filter={"related_by_senders": [alice.user_id]}) == []


async def test_dates(alice: Client, room: str) -> None:
    event_id = await alice.send(room, "cake")
    assert await found(alice, "cake after:2020") == [event_id]
    assert await found(alice, "cake before:2020-06-01") == []
    assert await found(alice, "cake after:2999-12-31") == []
    assert await found(alice, "cake before:3000-01 after:2001-02-03") == [event_id]
    assert await found(alice, "cake before:lunch") == []
    assert await found(alice, "cake before:2020-02-31") == []


async def test_the_best_match_comes_first_unless_the_newest_is_wanted(alice: Client, room: str) -> None:
    best = await alice.send(room, "cake cake cake")
    worse = await alice.send(
        room, "some cake, after a long story about trains and the weather of the last weeks"
    )
    results = await search(alice, "cake", order_by="rank")
    assert ids(results) == [best, worse]
    assert results["results"][0]["rank"] > results["results"][1]["rank"]
    assert await found(alice, "cake") == [worse, best]
    body = {"search_categories": {"room_events": {"search_term": "cake"}}}
    by_default = (await alice.ok("POST", "search", json=body))["search_categories"]["room_events"]
    assert ids(by_default) == [best, worse]


@pytest.mark.parametrize("order", ["recent", "rank"])
async def test_pages(alice: Client, room: str, order: str) -> None:
    sent = [await alice.send(room, f"Message number {number}") for number in range(20)]
    asked: dict[str, Any] = {"order_by": order, "filter": {"limit": 8}}
    first = await search(alice, "Message", **asked)
    await alice.send(room, "Message that came later")
    second = await search(alice, "Message", next_batch=first["next_batch"], **asked)
    third = await search(alice, "Message", next_batch=second["next_batch"], **asked)
    assert [len(ids(page)) for page in (first, second, third)] == [8, 8, 4]
    assert [page["count"] for page in (first, second, third)] == [20, 20, 20]
    everything = [*ids(first), *ids(second), *ids(third)]
    if order == "recent":
        assert everything == sent[::-1]
    assert sorted(everything) == sorted(sent)
    assert "next_batch" not in third


@pytest.mark.parametrize("order", ["recent", "rank"])
async def test_a_full_last_page_has_an_empty_one_behind_it(alice: Client, room: str, order: str) -> None:
    for number in range(6):
        await alice.send(room, f"Message number {number}")
    asked: dict[str, Any] = {"order_by": order, "filter": {"limit": 3}}
    page = await search(alice, "message", **asked)
    page = await search(alice, "message", next_batch=page["next_batch"], **asked)
    page = await search(alice, "message", next_batch=page["next_batch"], **asked)
    assert page["results"] == []
    assert page["count"] == 6
    assert "next_batch" not in page


async def test_context_and_who_the_senders_were(alice: Client, bob: Client, room: str) -> None:
    await bob.put(f"profile/{bob.user_id}/displayname", {"displayname": "Old Bob"})
    sent = [await (alice, bob)[number % 2].send(room, f"Message number {number}") for number in range(1, 8)]
    await bob.put(f"profile/{bob.user_id}/displayname", {"displayname": "New Bob"})
    context = {"before_limit": 2, "after_limit": 2, "include_profile": True}
    results = await search(alice, "Message 4", filter={"limit": 1}, event_context=context)
    assert results["count"] == 1
    assert "next_batch" in results
    shown = results["results"][0]["context"]
    assert [event["content"]["body"][-1] for event in shown["events_before"]] == ["3", "2"]
    assert [event["event_id"] for event in shown["events_after"]] == sent[4:6]
    assert shown["profile_info"][bob.user_id] == {"displayname": "Old Bob"}
    assert shown["profile_info"].keys() == {alice.user_id, bob.user_id}
    earlier = await alice.ok(
        "GET", f"rooms/{room}/messages", params={"dir": "b", "from": shown["start"], "limit": 1}
    )
    assert earlier["chunk"][0]["event_id"] == sent[0]
    later = await alice.ok(
        "GET", f"rooms/{room}/messages", params={"dir": "f", "from": shown["end"], "limit": 1}
    )
    assert later["chunk"][0]["event_id"] == sent[6]
    without = await search(alice, "Message 4")
    assert "context" not in without["results"][0]


@pytest.mark.parametrize("order", ["recent", "rank"])
@pytest.mark.parametrize("key", ["room_id", "sender"])
async def test_groups_and_their_own_pages(
    alice: Client, bob: Client, room: str, key: str, order: str
) -> None:
    other = await bob.create_room(invite=[alice.user_id])
    await alice.join(other)
    sent: dict[str, list[str]] = {}
    for number in range(12):
        sender, where = ((alice, room), (bob, other))[number % 2]
        value = where if key == "room_id" else sender.user_id
        sent.setdefault(value, []).append(await sender.send(where, f"cake {number}"))
    asked: dict[str, Any] = {
        "order_by": order,
        "groupings": {"group_by": [{"key": key}]},
        "filter": {"limit": 4},
    }
    first = await search(alice, "cake", **asked)
    groups = first["groups"][key]
    assert sorted(group["order"] for group in groups.values()) == list(range(len(groups)))
    assert sorted(event_id for group in groups.values() for event_id in group["results"]) == sorted(
        ids(first)
    )
    for value, group in groups.items():
        seen = list(group["results"])
        token = group.get("next_batch")
        while token is not None:
            page = await search(alice, "cake", next_batch=token, **asked)
            assert page["count"] == 12
            seen += ids(page)
            token = page.get("next_batch")
        assert sorted(seen) == sorted(sent[value])


async def test_the_state_of_the_rooms(alice: Client, room: str) -> None:
    await alice.send(room, "cake")
    state = (await search(alice, "cake", include_state=True))["state"]
    assert state.keys() == {room}
    assert {"m.room.create", "m.room.member"} <= {event["type"] for event in state[room]}


async def test_an_edited_message_is_found_by_what_it_says_now(alice: Client, room: str) -> None:
    event_id = await alice.send(room, "the first draft")
    assert await found(alice, "draft") == [event_id]
    edited = await alice.send(room, edit(event_id, "the final version"))
    assert await found(alice, "draft") == []
    results = await search(alice, "final")
    assert ids(results) == [event_id]
    assert results["results"][0]["result"]["unsigned"]["m.relations"]["m.replace"]["event_id"] == edited
    assert results["highlights"] == ["final"]
    again = await alice.send(room, edit(event_id, "the third"))
    assert await found(alice, "final") == []
    await alice.redact(room, again)
    assert await found(alice, "final") == [event_id]
    await alice.redact(room, edited)
    assert await found(alice, "draft") == [event_id]
    assert await found(alice, "final") == []


async def test_somebody_else_cannot_edit_a_message(alice: Client, bob: Client, room: str) -> None:
    event_id = await alice.send(room, "the truth")
    await bob.send(room, edit(event_id, "a lie"))
    assert await found(alice, "truth") == [event_id]
    assert await found(alice, "lie") == []


@pytest.mark.parametrize("order", ["recent", "rank"])
async def test_a_redacted_message_is_not_found(alice: Client, room: str, order: str) -> None:
    gone = await alice.send(room, "this is going to be redacted")
    stays = await alice.send(room, "this is not going to be redacted")
    assert sorted(await found(alice, "redacted", order_by=order)) == sorted([gone, stays])
    await alice.redact(room, gone)
    assert await found(alice, "redacted", order_by=order) == [stays]


async def test_what_a_reply_quotes_is_not_what_it_says(alice: Client, room: str) -> None:
    event_id = await alice.send(room, "strawberries")
    relation = {"m.in_reply_to": {"event_id": event_id}}
    reply = await alice.send(
        room,
        {
            "msgtype": "m.text",
            "body": f"> <{alice.user_id}> strawberries\n\nyes please",
            "m.relates_to": relation,
        },
    )
    assert await found(alice, "strawberries") == [event_id]
    assert await found(alice, "please") == [reply]


async def test_a_replaced_room_is_searched_with_the_one_that_replaces_it(alice: Client) -> None:
    old = await alice.create_room(preset="private_chat", room_version="8")
    before = await alice.send(old, "Message before upgrade")
    new = (await alice.ok("POST", f"rooms/{old}/upgrade", json={"new_version": "9"}))["replacement_room"]
    after = await alice.send(new, "Message after upgrade")
    both = await search(alice, "upgrade", filter={"rooms": [old, new]}, order_by="rank")
    assert both["count"] == 2
    assert sorted(ids(both)) == sorted([before, after])
    assert await found(alice, "upgrade", filter={"rooms": [new]}) == [after, before]
    assert await found(alice, "upgrade", filter={"rooms": [old]}) == [before]
    assert await found(alice, "upgrade", filter={"rooms": [new], "not_rooms": [old]}) == [after]


async def test_highlights_are_as_they_are_written(alice: Client, room: str) -> None:
    await alice.send(room, "Das Café ist zu, CAFÉ und Crêperie auch. 東京都庁")
    assert (await search(alice, "cafe cre*"))["highlights"] == ["Café", "Crêperie"]
    assert (await search(alice, "東京都"))["highlights"] == ["東京都"]


async def test_searching_for_nothing_finds_nothing(alice: Client) -> None:
    assert await alice.ok("POST", "search", json={"search_categories": {}}) == {"search_categories": {}}


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        ({}, "M_MISSING_PARAM"),
        ({"search_categories": 1}, "M_BAD_JSON"),
        ({"search_categories": {"room_events": {}}}, "M_MISSING_PARAM"),
        ({"search_categories": {"room_events": {"search_term": 1}}}, "M_BAD_JSON"),
        (
            {"search_categories": {"room_events": {"search_term": "a", "keys": ["content.x"]}}},
            "M_INVALID_PARAM",
        ),
        ({"search_categories": {"room_events": {"search_term": "a", "order_by": "x"}}}, "M_INVALID_PARAM"),
        (
            {
                "search_categories": {
                    "room_events": {"search_term": "a", "groupings": {"group_by": [{"key": "x"}]}}
                }
            },
            "M_INVALID_PARAM",
        ),
        (
            {"search_categories": {"room_events": {"search_term": "a", "filter": {"limit": -1}}}},
            "M_INVALID_PARAM",
        ),
    ],
)
async def test_requests_that_make_no_sense(alice: Client, body: Any, errcode: str) -> None:
    status, said = await alice.post("search", body)
    assert (status, said["errcode"]) == (400, errcode)


@pytest.mark.parametrize(
    "token", ["x", "W10=", "WzEsMiwzLDQsNV0=", "////", "é", "W251bGwsbnVsbCwwLDAsbnVsbF0="]
)
async def test_tokens_that_nobody_gave_out(alice: Client, token: str) -> None:
    body = {"search_categories": {"room_events": {"search_term": "a"}}}
    status, said = await alice.post("search", body, params={"next_batch": token})
    assert (status, said["errcode"]) == (400, "M_INVALID_PARAM")


async def test_words_are_completed_from_what_one_may_read(alice: Client, bob: Client, room: str) -> None:
    secret = await alice.create_room()
    await alice.send(secret, "strawberry")
    await bob.send(room, "straight street, Straße")
    await bob.send(room, "another street")
    path = "/_matrix/client/unstable/chat.hearth.search/suggestions"
    assert (await bob.ok("GET", path, params={"prefix": "a str"}))["words"] == [
        "street",
        "straight",
        "strasse",
    ]
    assert (await bob.ok("GET", path, params={"prefix": "str", "limit": 1}))["words"] == ["street"]
    assert "strawberry" in (await alice.ok("GET", path, params={"prefix": "straw"}))["words"]
    assert (await bob.ok("GET", path, params={"prefix": " "}))["words"] == []


@pytest.mark.parametrize(
    "term",
    [
        "a " * 500,
        '"' + "a " * 499,
        "*aaa* " * 150,
        "a OR " * 200,
        "-a " * 300,
        "東" * 1000,
        "a" * 1000,
        "before:0000 after:9999-99-99 from:: from:@ a",
        "\\ ' '' :* <-> & | ! ( ) a\x01b \x7f \ud7ff",
        "from:" + "'\\" * 200 + " cake",
        "💩" * 300,
    ],
)
async def test_no_term_is_too_much(alice: Client, room: str, term: str) -> None:
    await alice.send(room, "aaaa bbbb 東京")
    for order in ("rank", "recent"):
        await search(alice, term, order_by=order)


async def test_a_look_up_that_takes_too_long_leaves_what_the_walk_has_found(
    alice: Client, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def too_long(*_: Any) -> list[Any]:
        raise TooLong

    monkeypatch.setattr(find, "look_up", too_long)
    monkeypatch.setattr(walk, "FIRST", 4)
    monkeypatch.setattr(walk, "MOST", 4)
    sent = [await alice.send(room, "cake") for _ in range(9)]
    seen: list[str] = []
    token = None
    while token is not None or not seen:
        page = await search(alice, "cake", next_batch=token)
        seen += ids(page)
        token = page.get("next_batch")
    assert seen == sent[::-1]
