"""Directories, previews, knocking, spaces; profiles and settings."""

from __future__ import annotations

import json
from typing import Any

from tests.peers.rust_sdk.person import Items, Person, checked
from tests.peers.rust_sdk.sdk import ffi


async def make_room(person: Person, name: str, **more: Any) -> str:
    """A public room that is not encrypted, or what `more` says; its ID."""
    defaults: dict[str, Any] = {
        "visibility": ffi.RoomVisibility.PUBLIC(),
        "preset": ffi.RoomPreset.PUBLIC_CHAT,
        "is_encrypted": False,
    }
    room_id = await person.client.create_room(ffi.CreateRoomParameters(name=name, **(defaults | more)))
    room = await person.room(room_id)

    async def known() -> bool:
        return (await room.room_info()).power_levels is not None

    await person.pulse.awaited(f"the state of {name}", known)
    return str(room_id)


async def introduce(alice: Person, bob: Person) -> None:
    """Profiles, the user directory, account data."""
    await alice.client.set_display_name("Alice Liddell")
    profile = await bob.client.get_profile(alice.user_id)
    checked("bob reads alice's name", profile.display_name == "Alice Liddell")
    await alice.client.upload_avatar("image/png", _PNG)
    profile = await bob.client.get_profile(alice.user_id)
    checked("and her avatar", (profile.avatar_url or "").startswith("mxc://"))
    source = ffi.MediaSource.from_url(profile.avatar_url)
    checked("and sees a thumbnail", len(await bob.client.get_media_thumbnail(source, 32, 32)) > 20)

    async def found() -> Any:
        results = (await bob.client.search_users("liddell", 10)).results
        return [user for user in results if user.user_id == alice.user_id]

    users = await bob.pulse.until("the directory finds her", found)
    checked("by name", users[0].display_name == "Alice Liddell")
    await alice.client.set_account_data("org.example.test", json.dumps({"a": 1}))
    stored = lambda: _data(alice)
    await alice.pulse.until("account data comes back by sync", stored)
    await alice.client.ignore_user("@troll:example.org")

    async def ignored() -> bool:
        return bool(await alice.client.ignored_users() == ["@troll:example.org"])

    await alice.pulse.until("a troll is ignored", ignored)
    capabilities = alice.client.homeserver_capabilities()
    checked("names may be changed", await capabilities.can_change_displayname())
    token = await alice.client.request_openid_token()
    checked("an OpenID token is to be had", bool(token.access_token))


async def _data(person: Person) -> bool:
    found = await person.client.account_data("org.example.test")
    return found is not None and json.loads(found) == {"a": 1}


async def browse(alice: Person, bob: Person) -> str:
    """A public room with an alias: found in the directory, previewed, entered; its ID."""
    alias = "garden-of-rust"
    room_id = await make_room(alice, "Garden", topic="roses", canonical_alias=alias)
    full = f"#{alias}:{alice.client.user_id_server_name()}"
    resolved = await bob.client.resolve_room_alias(full)
    checked("the alias resolves", resolved is not None and resolved.room_id == room_id)
    checked("the alias is taken", not await bob.client.is_room_alias_available(full))
    search = bob.client.room_directory_search()
    found = Items(bob.pulse)
    kept = await search.results(found)
    await search.search("garden", 10, None)
    await bob.pulse.until(
        "the directory has the room", lambda: [r for r in found.items if r.room_id == room_id]
    )
    checked("under its alias", found.items[0].alias == full)
    kept.cancel()
    preview = (await bob.client.get_room_preview_from_room_alias(full)).info()
    checked("the preview tells name and topic", (preview.name, preview.topic) == ("Garden", "roses"))
    checked("and members", preview.num_joined_members == 1 and preview.membership is None)
    await bob.client.join_room_by_id_or_alias(full, [])
    room = await bob.room(room_id)
    await bob.pulse.until("bob is in the garden", lambda: room.membership() == ffi.Membership.JOINED)
    await bob.pulse.until("its alias is known", lambda: room.canonical_alias() == full)
    return room_id


class Knocks:
    """Who knocks, as the SDK tells."""

    def __init__(self, person: Person) -> None:
        self.now: list[Any] = []
        self._person = person

    def call(self, join_requests: list[Any]) -> None:
        """The SDK's listener."""
        self.now = join_requests
        self._person.pulse.beat()


async def knock(alice: Person, bob: Person) -> None:
    """Bob knocks, Alice sees why and lets him in."""
    room_id = await make_room(
        alice,
        "Study",
        visibility=ffi.RoomVisibility.PRIVATE(),
        preset=ffi.RoomPreset.PRIVATE_CHAT,
        join_rule_override=ffi.JoinRule.KNOCK(),
    )
    preview = (await bob.client.get_room_preview_from_room_id(room_id, [])).info()
    checked("the preview says that one may knock", preview.join_rule.is_knock())
    room = await alice.room(room_id)
    knocks = Knocks(alice)
    kept = await room.subscribe_to_knock_requests(knocks)
    await bob.client.knock(room_id, "may I?", [])
    theirs = await bob.room(room_id)
    await bob.pulse.until("bob waits before the door", lambda: theirs.membership() == ffi.Membership.KNOCKED)
    request = (await alice.pulse.until("alice hears the knock", lambda: knocks.now))[0]
    checked("and why", (request.user_id, request.reason) == (bob.user_id, "may I?"))
    await request.actions.accept()
    await bob.pulse.until("bob is let in", lambda: theirs.membership() == ffi.Membership.INVITED)
    await theirs.join()
    await bob.pulse.until("and comes", lambda: theirs.membership() == ffi.Membership.JOINED)
    kept.cancel()


async def spaces(alice: Person, bob: Person, garden: str) -> None:
    """A space with a room and a room in it that Bob has not seen."""
    space_id = await make_room(alice, "Manor", is_space=True)
    attic = await make_room(alice, "Attic")
    service = await alice.client.space_service()
    for child in (garden, attic):
        await service.add_child_to_space(child, space_id)
    await bob.client.join_room_by_id(space_id)
    await bob.room(space_id)
    theirs = await bob.client.space_service()

    async def joined() -> bool:
        return [space.room_id for space in await theirs.top_level_joined_spaces()] == [space_id]

    await bob.pulse.until("bob sees the space", joined)
    listed = await theirs.space_room_list(space_id)
    await listed.paginate()

    async def children() -> dict[str, Any] | None:
        rooms = {room.display_name: room for room in await listed.rooms()}
        return rooms if set(rooms) == {"Garden", "Attic"} else None

    by_name = await bob.pulse.until("and its rooms, also the one he is not in", children)
    checked("he is in the garden", by_name["Garden"].state == ffi.Membership.JOINED)
    checked("not in the attic", by_name["Attic"].state is None and by_name["Attic"].num_joined_members == 1)
    await service.remove_child_from_space(attic, space_id)


async def notifications(alice: Person, bob: Person, room_id: str) -> None:
    """Notification settings, which are push rules."""
    settings = await alice.client.get_notification_settings()
    before = await settings.get_room_notification_settings(room_id, False, False)
    checked("the room's notifications are the default", before.is_default)
    mute = ffi.RoomNotificationMode.MUTE
    await settings.set_room_notification_mode(room_id, mute)

    async def muted() -> bool:
        return bool(await settings.get_user_defined_room_notification_mode(room_id) == mute)

    await alice.pulse.until("the room is muted", muted)
    await settings.restore_default_room_notification_mode(room_id)

    async def restored() -> bool:
        return bool((await settings.get_room_notification_settings(room_id, False, False)).is_default)

    await alice.pulse.until("and no more", restored)
    checked("mentions notify", await settings.is_user_mention_enabled())


async def arrange(alice: Person, bob: Person, room_id: str) -> None:
    """Tags, powers, moderation, and leaving for good."""
    ours, theirs = await alice.room(room_id), await bob.room(room_id)
    await ours.set_is_favourite(True, 0.1)

    async def favourite() -> bool:
        return bool((await ours.room_info()).is_favourite)

    await alice.pulse.until("the garden is a favourite", favourite)
    await ours.update_power_levels_for_users([ffi.UserPowerLevelUpdate(user_id=bob.user_id, power_level=50)])

    async def trusted() -> bool:
        return (await theirs.get_power_levels()).can_own_user_kick()

    await bob.pulse.until("bob may kick", trusted)
    await ours.set_name("Rose garden")
    await bob.pulse.until("bob reads the new name", lambda: theirs.display_name() == "Rose garden")
    await ours.kick_user(bob.user_id, "the roses")
    await bob.pulse.until("bob was shown out", lambda: theirs.membership() == ffi.Membership.LEFT)
    await bob.client.join_room_by_id(room_id)
    await bob.pulse.until("and is back", lambda: theirs.membership() == ffi.Membership.JOINED)
    await theirs.leave()

    async def gone() -> bool:
        member = await ours.member(bob.user_id)
        return bool(member.membership.is_leave())

    await alice.pulse.until("bob left", gone)
    await bob.pulse.until("also for himself", lambda: theirs.membership() == ffi.Membership.LEFT)
    await theirs.forget()
    listed = lambda: room_id not in [room.id() for room in bob.client.rooms() if room.membership() == _JOINED]
    await bob.pulse.until("and forgot", listed)


_JOINED = ffi.Membership.JOINED
_PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc000000301010018"
    "dd8db00000000049454e44ae426082"
)
