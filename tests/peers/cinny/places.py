"""Rooms and spaces: made, found, searched, set up, invited to, left."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tests.fixtures.client import Unexpected
from tests.peers.cinny.scene import SAID, Scene, link
from tests.peers.onpage import picture, press, says

_SIDEBAR = "[...document.querySelectorAll('button')].filter((one) => one.getBoundingClientRect().x < 60)"
_PENCIL = "[...document.querySelectorAll('.room-profile__display button')].pop()"
_INVITE = (
    "[...document.querySelectorAll('.invite-user__content button, .invite-user .room-tile button')]"
    ".find((one) => one.innerText.trim() === 'Invite')"
)
_ENCRYPTED = "document.querySelector('.create-room .toggle--active')"


async def makes_rooms(scene: Scene) -> None:
    """A room of Alice's own, its settings, an invitation."""
    tab, carol = scene.tab, scene.carol
    await scene.goes("home/")
    await scene.presses("Create Room")
    await press(tab, "encryption can be left out", _ENCRYPTED)
    await tab.until("it is", f"!{_ENCRYPTED}")
    await tab.type("input[name=name]", "Kitchen")
    await tab.type("textarea[name=topic]", "pots")
    await scene.presses("Create")
    await scene.seen("a room that alice made", link("Kitchen"))
    await scene.seen("it is shown at once", says("button", "pots"))
    room = await _named(scene, "Kitchen")
    await scene.room_menu("Room Settings")
    await press(tab, "name and topic can be changed", _PENCIL)
    await tab.type("input[name=room-name]", "Cellar")
    await scene.presses("Save")

    async def renamed() -> bool:
        return bool((await scene.alice.state(room, "m.room.name"))["name"] == "Cellar")

    await scene.told_to(scene.alice, "its new name", renamed)
    await scene.goes("home/")
    await scene.seen("the room list has it", link("Cellar"))
    await scene.opens(room)
    await scene.room_menu("Invite")
    await tab.type(".invite-user__form input", "carol")
    await scene.presses("Search")
    await scene.seen(
        "carol is found in the directory", says(".invite-user .room-tile, .invite-user", carol.user_id)
    )
    await press(tab, "carol can be invited", _INVITE)

    async def invited() -> bool:
        status, content = await scene.alice.get(
            f"rooms/{quote(room)}/state/m.room.member/{quote(carol.user_id)}"
        )
        return bool(status == 200 and content["membership"] == "invite")

    await scene.told("carol is invited", invited)
    await scene.opens(room)
    await carol.join(room)
    await scene.seen("carol came", says(SAID, "Carol joined the room"))
    await scene.room_menu("Leave Room")
    await scene.presses("Leave")

    async def left() -> bool:
        return bool((await carol.state(room, "m.room.member", scene.alice.user_id))["membership"] == "leave")

    await scene.told("alice has left", left)
    await scene.seen("the room is gone", f"!{link('Cellar')}")


async def _named(scene: Scene, name: str) -> str:
    """The ID of Alice's room with this name."""

    async def look() -> str | None:
        for room_id in (await scene.alice.ok("GET", "joined_rooms"))["joined_rooms"]:
            try:
                if (await scene.alice.state(room_id, "m.room.name"))["name"] == name:
                    return str(room_id)
            except Unexpected:
                continue
        return None

    found = await scene.told_to(scene.alice, f"the server knows {name}", look)
    assert found is not None
    return found


async def explores(scene: Scene) -> None:
    """Public rooms: the directory, and an address."""
    carol, name = scene.carol, quote(scene.server.name, safe="")
    park = await carol.create_room(
        preset="public_chat", name="Park", topic="benches", visibility="public", room_alias_name="park"
    )
    await carol.create_room(preset="public_chat", name="Harbour", visibility="public")
    await scene.goes(f"explore/{name}/")
    both = f"{says('body', 'Park')} && {says('body', 'Harbour')}"
    await scene.seen("the public rooms", f"{both} && {says('body', 'benches')}")
    await picture(scene.tab, "cinny-explore")
    await scene.goes(f"explore/{name}/?term=bench")
    await scene.seen("searched among", f"{says('body', 'Park')} && !{says('body', 'Harbour')}")
    await scene.presses("Join")

    async def joined() -> bool:
        members = (await carol.ok("GET", f"rooms/{quote(park)}/joined_members"))["joined"]
        return scene.alice.user_id in members

    await scene.told("alice joins from the directory", joined)
    await scene.goes(f"home/{quote('#park:' + scene.server.name, safe='')}/")
    await scene.seen("a room by its address", says("button", "benches"))


async def searches(scene: Scene) -> None:
    """Among messages."""
    within = quote(scene.room_id, safe="")
    await scene.goes(f"home/search/?term=carol&rooms={within}")
    await scene.seen("messages are found", says("body", "hello from carol"))
    await scene.seen("those that were asked for", f"!{says('body', 'see you')}")
    await scene.goes(f"home/search/?term=three&rooms={within}")
    # (Cinny does not look at the edit that comes with what is found.)
    await scene.seen("a message is found by what it was edited to", says("body", "tree roses"))
    await scene.goes("home/search/?term=nowhereatall")
    await scene.seen("what was never said is not", says("body", "No results found"))
    await picture(scene.tab, "cinny-search")


async def has_spaces(scene: Scene) -> None:
    """A space that Alice makes, with a room in it, and its lobby."""
    tab, carol = scene.tab, scene.carol
    await scene.goes("home/")
    await tab.until("the page", link("Message Search"))
    await press(tab, "a space can be made", f"{_SIDEBAR}[3]")
    await tab.type("input[name=name]", "House")
    await scene.presses("Create")
    space = await _named(scene, "House")
    created = await scene.alice.state(space, "m.room.create")
    scene.checks.so("a space of alice's", created["type"] == "m.space")
    room = await carol.create_room(preset="public_chat", name="Attic")
    content: dict[str, Any] = {"via": [scene.server.name], "suggested": True}
    await scene.alice.set_state(space, "m.space.child", content, room)
    await scene.goes(f"{quote(space, safe='')}/lobby/")
    await scene.seen("its lobby shows what is in it", says("body", "Attic"))
    await picture(tab, "cinny-space")
    await scene.presses("Join")

    async def joined() -> bool:
        members = (await carol.ok("GET", f"rooms/{quote(room)}/joined_members"))["joined"]
        return scene.alice.user_id in members

    await scene.told("alice joins from the lobby", joined)
