"""Two people at matrix-nio talk in a room: messages, edits, reactions, threads, receipts, counts, typing, history."""

from __future__ import annotations

import nio

from tests.peers.nio_person import Person


async def converse(alice: Person, bob: Person) -> None:
    """Everything, in order."""
    room_id = await _meet(alice, bob)
    await _messages(alice, bob, room_id)
    await _changes(alice, bob, room_id)
    await _attention(alice, bob)
    await _threads(alice, bob)
    await _history(alice, bob)


async def _meet(alice: Person, bob: Person) -> str:
    checks = alice.checks
    asked = alice.client.room_create(name="Tea", topic="and biscuits", invite=[bob.user_id])
    created = await checks.told("alice makes a room", nio.RoomCreateResponse, asked)
    room_id = str(created.room_id)
    invited = bob.client.invited_rooms
    await bob.sees("bob is invited", lambda: room_id in invited)
    checks.same("by alice", invited[room_id].inviter, alice.user_id)
    checks.same("to a room that has a name", invited[room_id].name, "Tea")
    await checks.told("bob joins", nio.JoinResponse, bob.client.join(room_id))
    await bob.sees("bob is in the room", lambda: room_id in bob.client.rooms)
    await bob.sees("he sees its name", lambda: bob.room(room_id).name == "Tea")
    await bob.sees("its topic", lambda: bob.room(room_id).topic == "and biscuits")
    both = {alice.user_id, bob.user_id}
    await bob.sees("and who is there", lambda: set(bob.room(room_id).users) == both)
    await alice.sees("alice sees bob come", lambda: set(alice.room(room_id).users) == both)
    return room_id


async def _messages(alice: Person, bob: Person, room_id: str) -> None:
    checks = alice.checks
    kinds = {
        "m.text": nio.RoomMessageText,
        "m.notice": nio.RoomMessageNotice,
        "m.emote": nio.RoomMessageEmote,
        "m.image": nio.RoomMessageImage,
        "m.file": nio.RoomMessageFile,
        "m.audio": nio.RoomMessageAudio,
        "m.video": nio.RoomMessageVideo,
    }
    for kind, shown in kinds.items():
        content = {"msgtype": kind, "body": f"it is {kind}", "url": "mxc://example.org/a"}
        event = await bob.hears(await alice.sends(room_id, content))
        checks.same(f"bob hears {kind}", (type(event), event.body), (shown, f"it is {kind}"))
    formatted = {"format": "org.matrix.custom.html", "formatted_body": "<b>tea</b>"}
    event = await bob.hears(await alice.says(room_id, "tea", **formatted))
    checks.same("and HTML", event.formatted_body, "<b>tea</b>")
    event = await alice.hears(await bob.sends(room_id, {"cups": 2}, "org.example.order"))
    checks.same("alice hears what has no name in the specification", event.source["content"], {"cups": 2})
    twice = [
        await alice.client.room_send(room_id, "m.room.message", {"msgtype": "m.text", "body": "once"}, "once")
        for _ in range(2)
    ]
    checks.same("what is sent again is sent once", twice[0].event_id, twice[1].event_id)


async def _changes(alice: Person, bob: Person, room_id: str) -> None:
    checks = alice.checks
    first = await alice.says(room_id, "helo")
    new = {"msgtype": "m.text", "body": "hello"}
    relates = {"rel_type": "m.replace", "event_id": first}
    edit = await bob.hears(
        await alice.says(room_id, "* hello", **{"m.new_content": new, "m.relates_to": relates})
    )
    checks.same("bob hears the edit", edit.source["content"]["m.relates_to"], relates)
    stored = await checks.told(
        "and asks", nio.RoomGetEventResponse, bob.client.room_get_event(room_id, first)
    )
    served = stored.event.source["unsigned"]["m.relations"]["m.replace"]["event_id"]
    checks.same("the server names the edit with the original", served, edit.event_id)

    wave = {"m.relates_to": {"rel_type": "m.annotation", "event_id": first, "key": "👋"}}
    reaction = await alice.hears(await bob.sends(room_id, wave, "m.reaction"))
    checks.check("alice sees a reaction", isinstance(reaction, nio.ReactionEvent))
    checks.same("to her message", (reaction.reacts_to, reaction.key), (first, "👋"))
    related = [e.event_id async for e in alice.client.room_get_event_relations(room_id, first)]
    checks.same("the server lists what relates to it", related, [reaction.event_id, edit.event_id])

    oops = await bob.says(room_id, "oops")
    await alice.hears(oops)
    asked = bob.client.room_redact(room_id, oops, "wrong window")
    redacted = await checks.told("bob redacts", nio.RoomRedactResponse, asked)
    redaction = await alice.hears(redacted.event_id)
    checks.same("alice sees it", (redaction.redacts, redaction.reason), (oops, "wrong window"))
    asked = alice.client.room_get_event(room_id, oops)
    stored = await checks.told("the event is there", nio.RoomGetEventResponse, asked)
    checks.check("without what it said", isinstance(stored.event, nio.RedactedEvent))


async def _attention(alice: Person, bob: Person) -> None:
    checks = alice.checks
    room_id = await alice.makes(bob, name="Attention")
    for body in ("one", "two"):
        last = await alice.says(room_id, body)
    unread = lambda: (bob.room(room_id).unread_notifications, bob.room(room_id).unread_highlights)
    await bob.sees("bob has two unread", lambda: unread() == (2, 0))
    call = await alice.says(room_id, "bob?", **{"m.mentions": {"user_ids": [bob.user_id]}})
    await bob.sees("a mention calls him", lambda: unread() == (3, 1))
    receipt = bob.client.update_receipt_marker(room_id, last, thread_id=None)
    await checks.told("he has read some", nio.UpdateReceiptMarkerResponse, receipt)
    await bob.sees("and one is left", lambda: unread() == (1, 1))
    read = lambda: alice.room(room_id).read_receipts.get(bob.user_id)
    receipt_seen = await alice.sees("alice sees his receipt", read)
    checks.same("at that message", receipt_seen.event_id, last)
    private = nio.ReceiptType.read_private
    receipt = bob.client.update_receipt_marker(room_id, call, private, thread_id=None)
    await checks.told("he reads the rest in private", nio.UpdateReceiptMarkerResponse, receipt)
    await bob.sees("nothing is left", lambda: unread() == (0, 0))
    after = await alice.says(room_id, "there?")
    await bob.hears(after)
    markers = bob.client.room_read_markers(room_id, after, after)
    await checks.told("he sets his marker", nio.RoomReadMarkersResponse, markers)
    await bob.sees("which is kept", lambda: bob.room(room_id).fully_read_marker == after)
    await alice.sees("alice sees him read the last", lambda: read().event_id == after)
    seen = [
        one.event_id
        for _, event in alice.ephemeral
        if isinstance(event, nio.ReceiptEvent)
        for one in event.receipts
        if one.user_id == bob.user_id
    ]
    checks.check("but never the private one", call not in seen, seen)

    typing = lambda: alice.user_id in bob.room(room_id).typing_users
    await checks.told("alice types", nio.RoomTypingResponse, alice.client.room_typing(room_id, True))
    await bob.sees("bob sees it", typing)
    await checks.told("she stops", nio.RoomTypingResponse, alice.client.room_typing(room_id, False))
    await bob.sees("bob sees that too", lambda: not typing())


async def _threads(alice: Person, bob: Person) -> None:
    checks = alice.checks
    room_id = await alice.makes(bob, name="Threads")
    roots = [await alice.says(room_id, body) for body in ("first", "second")]
    in_thread = lambda root: {"m.relates_to": {"rel_type": "m.thread", "event_id": root}}
    replies = [await bob.says(room_id, f"reply {n}", **in_thread(roots[0])) for n in range(3)]
    await alice.says(room_id, "to myself", **in_thread(roots[1]))
    threads = [e.event_id async for e in bob.client.room_get_threads(room_id)]
    checks.same("the threads, the last spoken in first", threads, [roots[1], roots[0]])
    mine = nio.api.ThreadInclusion.participated
    threads = [e.event_id async for e in bob.client.room_get_threads(room_id, mine)]
    checks.same("those that bob has part in", threads, [roots[0]])
    forward = nio.MessageDirection.front
    kind = nio.api.RelationshipType.thread
    related = bob.client.room_get_event_relations(room_id, roots[0], kind, None, forward, 2)
    checks.same("a thread is read from its beginning", [e.event_id async for e in related], replies)
    await alice.hears(replies[-1])
    receipt = alice.client.update_receipt_marker(room_id, replies[-1], thread_id=roots[0])
    await checks.told("alice has read the thread", nio.UpdateReceiptMarkerResponse, receipt)
    threaded = lambda: [
        one
        for in_room, event in bob.ephemeral
        if in_room == room_id and isinstance(event, nio.ReceiptEvent)
        for one in event.receipts
        if (one.user_id, one.thread_id) == (alice.user_id, roots[0])
    ]
    (seen, *_) = await bob.sees("bob sees her receipt in the thread", threaded)
    checks.same("at its last reply", seen.event_id, replies[-1])


async def _history(alice: Person, bob: Person) -> None:
    checks = alice.checks
    room_id = await alice.makes(bob, name="History")
    sent = [await alice.says(room_id, f"number {number}") for number in range(25)]
    await bob.hears(sent[-1])
    token, found = bob.client.next_batch, []
    while token:
        page = await bob.client.room_messages(room_id, token, limit=10)
        assert isinstance(page, nio.RoomMessagesResponse), page
        found += page.chunk
        token = page.end
    texts = [event.event_id for event in found if isinstance(event, nio.RoomMessageText)]
    checks.same("bob pages back over every message, once", texts, sent[::-1])
    checks.check("to the beginning", isinstance(found[-1], nio.RoomCreateEvent))
    only = {"types": ["m.room.name"]}
    page = await bob.client.room_messages(room_id, bob.client.next_batch, message_filter=only)
    checks.same("or only to what he asks for", [type(e) for e in page.chunk], [nio.RoomNameEvent])
    asked = bob.client.room_context(room_id, sent[10], limit=4)
    context = await checks.told("and looks around a message", nio.RoomContextResponse, asked)
    around = [e.event_id for e in [*context.events_before, *context.events_after]]
    checks.same("at two before and two after", around, [sent[9], sent[8], sent[11], sent[12]])
