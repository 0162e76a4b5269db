"""Alice and Carol talk: invitations, messages and all that is done with them, typing, receipts, pictures."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

from tests.fixtures.client import Client
from tests.peers.chromium import LONG
from tests.peers.cinny.scene import ROOM_MENU, SAID, Scene, link, member
from tests.peers.onpage import button, downloaded, picture, press, red_picture, related, says, uploaded

_PICTURE = "[...document.querySelectorAll('[data-message-id] img')].filter((one) => one.src.includes('/_matrix/') && {})"


async def enters(scene: Scene) -> None:
    """Alice is invited to a room, and to a talk for two."""
    alice, carol = scene.alice.user_id, scene.carol
    scene.room_id = await carol.create_room(name="Garden", topic="Roses", invite=[alice])
    talk = await carol.create_room(is_direct=True, preset="trusted_private_chat", invite=[alice])
    await scene.goes("inbox/invites/")
    await scene.seen(
        "an invitation, with name and topic", f"{says('body', 'Garden')} && {says('body', 'Roses')}"
    )
    await scene.seen("who invites", says("body", "Invited by Carol"))
    await scene.seen("to a talk for two also", says("body", "Direct Messages"))
    await scene.seen("when she was invited", f"!{says('body', '1970')}")
    await picture(scene.tab, "cinny-invitations")
    await _accepts(scene, "Garden", scene.room_id)
    await scene.goes("inbox/invites/")
    await _accepts(scene, "Carol", talk)

    async def marked() -> bool:
        status, direct = await scene.alice.get(f"user/{alice}/account_data/m.direct")
        return bool(status == 200 and talk in direct.get(carol.user_id, ()))

    await scene.told_to(scene.alice, "the talk is marked as one for two", marked)
    await scene.goes("home/")
    await scene.seen("the room is listed", link("Garden"))
    await scene.goes("direct/")
    await scene.seen("the talk is listed apart", link("Carol"))


async def _accepts(scene: Scene, name: str, room_id: str) -> None:
    """The invitation whose box has this name."""
    accept = "[...document.querySelectorAll('button')].filter((one) => one.innerText.trim() === 'Accept')"
    own = f"{accept}.find((one) => one.parentElement.parentElement.innerText.includes('{name}'))"
    await press(scene.tab, f"the invitation of {name} can be accepted", own)

    async def joined() -> bool:
        content = await scene.carol.state(room_id, "m.room.member", scene.alice.user_id)
        return bool(content["membership"] == "join")

    await scene.told(f"alice has accepted: {name}", joined)


async def talks(scene: Scene) -> None:
    """Messages both ways, answers, edits, redactions, a thread."""
    carol, room = scene.carol, scene.room_id
    await scene.opens(room)
    await scene.types("hello garden")
    await scene.written("alice's message", "hello garden")
    hello = await carol.send(room, "hello from carol")
    await scene.seen("carol's message, at once", says(SAID, "hello from carol"))
    await scene.chooses("hello from carol", "Reply")
    await scene.tab.until(
        "what is replied to", "document.querySelectorAll('[data-editable-name]').length === 1"
    )
    await scene.types("an answer")
    reply = await scene.written("alice's reply", "an answer")
    related_to = reply["content"]["m.relates_to"]["m.in_reply_to"]["event_id"]
    scene.checks.so("the reply names the message", related_to == hello)
    relation: dict[str, Any] = {"m.in_reply_to": {"event_id": reply["event_id"]}}
    await carol.send(room, {"msgtype": "m.text", "body": "my reply", "m.relates_to": relation})
    await scene.seen(
        "carol's reply, with what it answers", f"{says(SAID, 'my reply')}?.innerText.includes('an answer')"
    )
    await _edits(scene)
    await _redacts(scene)
    thread = {"rel_type": "m.thread", "event_id": hello, "m.in_reply_to": {"event_id": hello}}
    await carol.send(room, {"msgtype": "m.text", "body": "in a thread", "m.relates_to": thread})
    await scene.seen(
        "a thread's message", f"{says(SAID, 'in a thread')}?.innerText.includes('Threaded reply')"
    )


async def _edits(scene: Scene) -> None:
    carol, room = scene.carol, scene.room_id
    await scene.chooses("hello garden", "Edit Message")
    await scene.tab.type(f"{SAID} [contenteditable=true]", "edited ")
    await scene.presses("Save")

    async def edited() -> bool:
        found = await carol.messages(room)
        relations = [event["content"].get("m.relates_to", {}).get("rel_type") for event in found]
        return "m.replace" in relations

    await scene.told("alice's edit", edited)
    await scene.seen("it is marked as edited", says(SAID, "(edited)"))
    mistake = await carol.send(room, "tree roses")
    await scene.seen("carol's mistake", says(SAID, "tree roses"))
    new = {"msgtype": "m.text", "body": "three roses"}
    replacing = {"rel_type": "m.replace", "event_id": mistake}
    await carol.send(room, new | {"body": "* three roses", "m.new_content": new, "m.relates_to": replacing})
    await scene.seen(
        "carol's edit in its place", f"{says(SAID, 'three roses')} && !{says(SAID, 'tree roses')}"
    )


async def _redacts(scene: Scene) -> None:
    carol, room = scene.carol, scene.room_id
    oops = await carol.send(room, "oops")
    await scene.seen("carol's slip", says(SAID, "oops"))
    await carol.redact(room, oops)
    await scene.seen(
        "is taken back", f"!{says(SAID, 'oops')} && {says(SAID, 'This message has been deleted')}"
    )
    await scene.types("never mind")
    sent = await scene.written("alice's slip", "never mind")
    await scene.chooses("never mind", "Delete")
    deleting = "[...document.querySelectorAll('form button')]"
    await press(scene.tab, "sure", f"{deleting}.find((one) => one.innerText.trim() === 'Delete')")

    async def gone() -> bool:
        return not (await carol.ok("GET", f"rooms/{quote(room)}/event/{quote(sent['event_id'])}"))["content"]

    await scene.told("is taken back by alice", gone)


async def reacts(scene: Scene) -> None:
    """Reactions, typing, receipts."""
    carol, room, tab = scene.carol, scene.room_id, scene.tab
    liked = await carol.send(room, "do you like it?")
    await scene.chooses("do you like it?", "Add Reaction")
    await press(tab, "an emoji", "document.querySelector('[data-emoji-data]')")
    found = await scene.told("alice's reaction", lambda: related(carol, room, liked, "m.annotation"))
    key = found[0]["content"]["m.relates_to"]["key"]
    shown = f"{says(SAID, 'do you like it?')}?.querySelector('[data-reaction-key]')"
    await scene.seen("it is shown", f"{shown}?.innerText.includes('{key}')")
    await carol.send(
        room, {"m.relates_to": {"rel_type": "m.annotation", "event_id": liked, "key": key}}, "m.reaction"
    )
    await scene.seen("two had the same thought", f"{shown}?.innerText.includes('2')")
    typing = f"rooms/{quote(room)}/typing/{quote(carol.user_id)}"
    await carol.ok("PUT", typing, json={"typing": True, "timeout": 60000})
    await scene.seen("carol types", says("body", "is typing"))
    await carol.ok("PUT", typing, json={"typing": False})
    await scene.seen("and stops", f"!{says('body', 'is typing')}")
    await tab.run("document.querySelector('[data-editable-name=RoomInput]').focus()")
    listening = asyncio.create_task(
        carol.sync_until(lambda reply: scene.alice.user_id in _typing(reply, room), LONG)
    )
    await tab.press("w")
    scene.checks.so("alice types", await listening)
    await scene.types("ell, yes")
    latest = await scene.written("she wrote", "ell, yes")
    await carol.ok("POST", f"rooms/{quote(room)}/receipt/m.read/{quote(latest['event_id'])}", json={})
    await scene.seen("that carol has read it", says("body", "is following the conversation"))
    last = await carol.send(room, "see you")
    await scene.seen("carol's last word", says(SAID, "see you"))

    reading = f"({button('Mark as Read')} ?? {ROOM_MENU})?.click()"

    async def read() -> bool:
        await tab.run(reading)
        carol.next_batch = None
        return scene.alice.user_id in _readers(await carol.sync(), room, last)

    await scene.told("that alice has read it", read)


def _ephemeral(reply: dict[str, Any], room_id: str, kind: str) -> list[dict[str, Any]]:
    room = reply.get("rooms", {}).get("join", {}).get(room_id, {})
    return [
        event["content"] for event in room.get("ephemeral", {}).get("events", ()) if event["type"] == kind
    ]


def _typing(reply: dict[str, Any], room_id: str) -> list[str]:
    return [user for content in _ephemeral(reply, room_id, "m.typing") for user in content["user_ids"]]


def _readers(reply: dict[str, Any], room_id: str, event_id: str) -> list[str]:
    receipts = [content.get(event_id, {}) for content in _ephemeral(reply, room_id, "m.receipt")]
    return [user for receipt in receipts for kind in receipt.values() for user in kind]


async def shows_pictures(scene: Scene) -> None:
    """Authenticated media, which the client's service worker asks for with her token."""
    carol, room, tab, data = scene.carol, scene.room_id, scene.tab, red_picture()
    content: dict[str, Any] = {"msgtype": "m.image", "body": "red.png", "url": await uploaded(carol, data)}
    content["info"] = {"w": 320, "h": 240, "mimetype": "image/png", "size": len(data)}
    await carol.send(room, content)
    await scene.opens(room)
    drawn = _PICTURE.format("one.naturalWidth === 320")
    await scene.seen("carol's picture", f"{drawn}.length")
    address = await tab.run(f"{drawn}[0].src")
    status, _ = await Client(carol.session, carol.url).get(address.removeprefix(carol.url))
    scene.checks.so(
        "shown to nobody without a token", "/_matrix/client/v1/media/" in address and status == 401
    )
    file = scene.server.folder / "blue.png"
    file.write_bytes(red_picture(64, 48))
    writing = "document.querySelector('[data-editable-name=RoomInput]')"
    plus = f"[...document.querySelectorAll('button')].filter((one) => one.compareDocumentPosition({writing}) & 4).pop()"
    async with tab.choosing(file):
        await press(tab, "a file can be added", plus)
    await scene.presses("Send")
    sent = await scene.written("alice's picture", "blue.png")
    scene.checks.so(
        "it has its size", (sent["content"]["info"]["w"], sent["content"]["info"]["h"]) == (64, 48)
    )
    status, body = await downloaded(carol, sent["content"]["url"])
    scene.checks.so("carol can fetch it", status == 200 and body == file.read_bytes())
    await scene.seen("alice sees it too", f"{_PICTURE.format('one.naturalWidth === 64')}.length")
    await scene.seen("who is there", f"{member('Carol')} && {member('alice')}")
    await scene.seen("the members are counted", says("body", "2 Members"))
    await picture(tab, "cinny-room")


async def keeps_secrets(scene: Scene) -> None:
    """A room with encryption, of another device; and one that Alice makes."""
    dave = scene.dave
    room_id = await dave.creates("Vault", scene.alice.user_id)
    await scene.goes("inbox/invites/")
    await scene.tab.until("dave's invitation", says("body", "Vault"))
    await scene.presses("Accept")
    await scene.tab.until("it is accepted", link("Vault"))
    await scene.opens(room_id)
    await dave.knows(room_id, scene.alice.user_id)
    await dave.says(room_id, "a secret")
    await scene.seen("dave's secret", says(SAID, "a secret"))
    await scene.types("well kept")
    await dave.reads("well kept")
    stored = await scene.alice.messages(room_id)
    plain = [event for event in stored if event["type"] == "m.room.message"]
    scene.checks.so("alice's secret, at dave's, and at the server none", not dave.failed and not plain)
    await scene.tab.reload()
    await scene.seen("the session outlives a reload", says(SAID, "well kept"))
    await scene.seen("and so do the keys", says(SAID, "a secret"))
    await scene.types("still here")
    await dave.reads("still here")
    scene.checks.so("secrets after a reload", not dave.failed)
    await picture(scene.tab, "cinny-secret")
