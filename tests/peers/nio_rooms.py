"""Two people at matrix-nio arrange rooms: members and powers, names in the directory, knocking, spaces, upgrades."""

from __future__ import annotations

import nio

from tests.peers.nio_person import Person


async def arrange(alice: Person, bob: Person) -> None:
    """Everything, in order."""
    await _addresses(alice, bob)
    await _powers(alice, bob)
    await _removed(alice, bob)
    await _knocking(alice, bob)
    await _spaces(alice, bob)
    await _upgrade(alice, bob)


async def _addresses(alice: Person, bob: Person) -> None:
    checks, public = alice.checks, nio.RoomVisibility.public
    preset = nio.RoomPreset.public_chat
    room_id = await alice.makes(visibility=public, name="Rose garden", alias="garden", preset=preset)
    server = alice.user_id.partition(":")[2]
    alias, yard = f"#garden:{server}", f"#yard:{server}"
    asked = bob.client.room_resolve_alias(alias)
    resolved = await checks.told("an alias is resolved", nio.RoomResolveAliasResponse, asked)
    checks.same("to the room", (resolved.room_id, resolved.servers), (room_id, [server]))
    asked = bob.client.list_public_rooms(filter_generic_search_term="rose")
    listed = await checks.told("the directory is searched", nio.responses.PublicRoomsResponse, asked)
    checks.same("and has the room", [room.room_id for room in listed.public_rooms], [room_id])
    asked = bob.client.room_get_visibility(room_id)
    visible = await checks.told("bob asks for it", nio.RoomGetVisibilityResponse, asked)
    checks.same("it is public", visible.visibility, "public")
    await checks.told("bob joins by the alias", nio.JoinResponse, bob.client.join(alias))
    await alice.sees("alice sees him come", lambda: bob.user_id in alice.room(room_id).users)
    put = alice.client.room_put_alias(yard, room_id)
    await checks.told("alice gives it another alias", nio.RoomPutAliasResponse, put)
    await alice.client.room_update_aliases(room_id, yard, [alias])
    await bob.sees("bob sees the main one", lambda: bob.room(room_id).canonical_alias == yard)
    denied = await bob.client.room_delete_alias(yard)  # for nio that is an answer like another
    checks.same("bob may not take it away", denied.transport_response.status, 403)
    await checks.told("alice may", nio.RoomDeleteAliasResponse, alice.client.room_delete_alias(yard))
    await checks.refused("then it is gone", "M_NOT_FOUND", bob.client.room_resolve_alias(yard))


async def _powers(alice: Person, bob: Person) -> None:
    checks = alice.checks
    room_id = await alice.makes(bob, name="Powers", room_version="11")
    topic = bob.client.update_room_topic(room_id, "mine")
    await checks.refused("bob may not set the topic", "M_FORBIDDEN", topic)
    checks.check("nor kick, says his client", not await bob.client.has_permission(room_id, "kick"))
    levels = await alice.client.room_get_state_event(room_id, "m.room.power_levels")
    users = levels.content["users"] | {bob.user_id: 50}
    await alice.sets(room_id, "m.room.power_levels", levels.content | {"users": users})
    power = lambda: bob.room(room_id).power_levels.get_user_level(bob.user_id) == 50
    await bob.sees("bob is given power", power)
    checks.check("to kick, says his client", await bob.client.has_permission(room_id, "kick"))
    topic = bob.client.update_room_topic(room_id, "mine")
    await checks.told("he sets the topic", nio.RoomPutStateResponse, topic)
    await alice.sees("alice sees it", lambda: alice.room(room_id).topic == "mine")
    await alice.sets(room_id, "m.room.join_rules", {"join_rule": "public"})
    await bob.sees("bob sees who may join", lambda: bob.room(room_id).join_rule == "public")
    await alice.sets(room_id, "org.example", {"a": 1}, "key")
    asked = bob.client.room_get_state_event(room_id, "org.example", "key")
    state = await checks.told("bob reads state", nio.RoomGetStateEventResponse, asked)
    checks.same("as alice set it", state.content, {"a": 1})
    all_state = await bob.client.room_get_state(room_id)
    kinds = {event["type"] for event in all_state.events}
    checks.check("and all of it", {"m.room.create", "m.room.member", "org.example"} <= kinds, kinds)
    asked = bob.client.joined_members(room_id)
    members = await checks.told("the members are listed", nio.JoinedMembersResponse, asked)
    checks.same("both", {member.user_id for member in members.members}, {alice.user_id, bob.user_id})
    joined = await checks.told("and bob's rooms", nio.JoinedRoomsResponse, bob.client.joined_rooms())
    checks.check("with this one", room_id in joined.rooms)


async def _removed(alice: Person, bob: Person) -> None:
    checks = alice.checks
    room_id = await alice.makes(bob, name="Door")
    await checks.refused("bob may not kick", "M_FORBIDDEN", bob.client.room_kick(room_id, alice.user_id))
    kick = alice.client.room_kick(room_id, bob.user_id, "out")
    await checks.told("alice kicks bob", nio.RoomKickResponse, kick)
    out = await bob.sees("bob sees it", lambda: bob.left[room_id].timeline.events[-1])
    checks.same("with the reason", (out.membership, out.content.get("reason")), ("leave", "out"))
    await checks.refused("he cannot come back", "M_FORBIDDEN", bob.client.join(room_id))
    invite = alice.client.room_invite(room_id, bob.user_id)
    await checks.told("she invites him", nio.RoomInviteResponse, invite)
    await bob.sees("bob sees that", lambda: room_id in bob.client.invited_rooms)
    await checks.told("he says no", nio.RoomLeaveResponse, bob.client.room_leave(room_id))
    await alice.sees(
        "alice sees that he does not come",
        lambda: [
            event
            for in_room, event in alice.events
            if in_room == room_id
            and isinstance(event, nio.RoomMemberEvent)
            and (event.state_key, event.prev_membership, event.membership) == (bob.user_id, "invite", "leave")
        ],
    )
    ban = alice.client.room_ban(room_id, bob.user_id, "still out")
    await checks.told("she bans him", nio.RoomBanResponse, ban)
    invite = alice.client.room_invite(room_id, bob.user_id)
    await checks.refused("who is banned is not invited", "M_FORBIDDEN", invite)
    unban = alice.client.room_unban(room_id, bob.user_id)
    await checks.told("the ban is lifted", nio.RoomUnbanResponse, unban)
    await checks.told("bob forgets the room", nio.RoomForgetResponse, bob.client.room_forget(room_id))
    state = bob.client.room_get_state(room_id)
    await checks.refused("then he reads nothing of it", "M_FORBIDDEN", state)


async def _knocking(alice: Person, bob: Person) -> None:
    checks = alice.checks
    room_id = await alice.makes(name="Club")
    opened = alice.client.room_enable_knocking(room_id)
    await checks.told("alice lets people knock", nio.RoomPutStateResponse, opened)
    knock = bob.client.room_knock(room_id, "it rains")
    await checks.told("bob knocks", nio.RoomKnockResponse, knock)
    knocks = lambda: [
        event
        for in_room, event in alice.events
        if in_room == room_id and event.source["content"].get("membership") == "knock"
    ]
    (heard, *_) = await alice.sees("alice hears it", knocks)
    checks.same("and why", heard.source["content"]["reason"], "it rains")
    invite = alice.client.room_invite(room_id, bob.user_id)
    await checks.told("she lets him in", nio.RoomInviteResponse, invite)
    await checks.told("bob comes in", nio.JoinResponse, bob.client.join(room_id))
    await alice.sees("alice sees him", lambda: bob.user_id in alice.room(room_id).users)


async def _spaces(alice: Person, bob: Person) -> None:
    checks = alice.checks
    space = await alice.makes(bob, name="Village", space=True)
    child = await alice.makes(name="Green", preset=nio.RoomPreset.public_chat)
    secret = await alice.makes(name="Cellar")
    via = {"via": [alice.user_id.partition(":")[2]]}
    for room_id in (child, secret):
        await alice.sets(space, "m.space.child", via, room_id)
    checks.same("bob sees a space", bob.room(space).room_type, "m.space")
    await bob.sees("with its children", lambda: bob.room(space).children == {child, secret})
    asked = bob.client.space_get_hierarchy(space)
    hierarchy = await checks.told("he asks what is in it", nio.SpaceGetHierarchyResponse, asked)
    checks.same("and is shown what he may see", [r["room_id"] for r in hierarchy.rooms], [space, child])


async def _upgrade(alice: Person, bob: Person) -> None:
    checks = alice.checks
    old = await alice.makes(bob, name="Old house", topic="creaks", room_version="10")
    upgrade = alice.client.room_upgrade(old, "11")
    upgraded = await checks.told("alice upgrades a room", nio.responses.RoomUpgradeResponse, upgrade)
    tombs = lambda: [e for _, e in bob.events if e.source["type"] == "m.room.tombstone"]
    (tomb, *_) = await bob.sees("bob sees the old one closed", tombs)
    new = tomb.source["content"]["replacement_room"]
    checks.same("and where to go", new, upgraded.room_id)
    assert isinstance(await alice.client.room_invite(new, bob.user_id), nio.RoomInviteResponse)
    await checks.told("he goes there", nio.JoinResponse, bob.client.join(new))
    await bob.awaited("the new house", lambda: new in bob.client.rooms)
    shown = bob.room(new)
    checks.same("it is the same house", (shown.name, shown.topic), ("Old house", "creaks"))
    checks.same("in the new version", shown.room_version, "11")
