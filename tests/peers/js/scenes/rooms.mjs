// Rooms: presets, members, powers, names, the directory, knocking, spaces, upgrades, and reading without having joined.
import { RoomHierarchy } from "matrix-js-sdk/lib/room-hierarchy.js";
import { check, heard, meeting, membership, refused, same, sees, state, until } from "../people.mjs";

const mine = (one, roomId) => one.getRoom(roomId)?.getMyMembership();

export async function presets(alice, bob) {
    const expected = { private_chat: "invite", trusted_private_chat: "invite", public_chat: "public" };
    for (const [preset, rule] of Object.entries(expected)) {
        const { room_id: roomId } = await alice.createRoom({ preset, invite: [bob.getUserId()], room_version: "11" });
        await bob.joinRoom(roomId);
        await until("bob's room", () => mine(bob, roomId) === "join" && bob.getRoom(roomId).getMember(alice.getUserId()));
        same(`${preset}: who may join`, state(bob, roomId, "m.room.join_rules").join_rule, rule);
        same(`${preset}: who reads what was before`, state(bob, roomId, "m.room.history_visibility").history_visibility, "shared");
        same(
            `${preset}: guests`,
            state(bob, roomId, "m.room.guest_access")?.guest_access ?? "forbidden",
            preset === "public_chat" ? "forbidden" : "can_join",
        );
        const power = bob.getRoom(roomId).getMember(bob.getUserId()).powerLevel;
        same(`${preset}: the power of who is invited`, power, preset === "trusted_private_chat" ? 100 : 0);
    }
}

export async function members(alice, bob) {
    const [her, him] = [alice.getUserId(), bob.getUserId()];
    const { room_id: roomId } = await alice.createRoom({ name: "Tea", topic: "and biscuits", room_version: "11" });
    await refused("bob cannot join uninvited", "M_FORBIDDEN", bob.joinRoom(roomId));
    await alice.invite(roomId, him, "have some tea");
    await sees("bob is invited", () => mine(bob, roomId) === "invite");
    same("the invite tells the room's name", bob.getRoom(roomId).name, "Tea");
    const invite = bob.getRoom(roomId).getMember(him).events.member;
    same("and by whom and why", [invite.getSender(), invite.getContent().reason], [her, "have some tea"]);
    await bob.leave(roomId);
    await sees("alice sees the invite rejected", () => membership(alice, roomId, him) === "leave");
    await alice.invite(roomId, him);
    await until("the second invite", () => mine(bob, roomId) === "invite");
    await bob.joinRoom(roomId);
    await sees("alice sees bob join", () => membership(alice, roomId, him) === "join");
    await sees("bob knows the topic", () => state(bob, roomId, "m.room.topic")?.topic === "and biscuits");
    same("both are members", Object.keys((await bob.getJoinedRoomMembers(roomId)).joined).sort(), [her, him].sort());
    check("the room is among bob's", (await bob.getJoinedRooms()).joined_rooms.includes(roomId));
    const { chunk } = await bob.members(roomId, "join");
    same("members by membership", chunk.map((event) => event.state_key).sort(), [her, him].sort());

    await refused("bob may not rename the room", "M_FORBIDDEN", bob.setRoomName(roomId, "Coffee"));
    await alice.setPowerLevel(roomId, him, 50);
    await sees("bob sees his new power", () => bob.getRoom(roomId).getMember(him).powerLevel === 50);
    await bob.setRoomName(roomId, "Coffee");
    await sees("alice sees the new name", () => alice.getRoom(roomId).name === "Coffee");
    await bob.setRoomTopic(roomId, "black", "<b>black</b>");
    await sees("and the topic, also as HTML", () => state(alice, roomId, "m.room.topic")["m.topic"]);
    await refused("bob may not kick alice", "M_FORBIDDEN", bob.kick(roomId, her, "tea"));
    await removed(alice, bob, roomId);
}

async function removed(alice, bob, roomId) {
    const him = bob.getUserId();
    await alice.kick(roomId, him, "no coffee here");
    await sees("bob sees that he was kicked", () => mine(bob, roomId) === "leave");
    same("and why", bob.getRoom(roomId).getMember(him).events.member.getContent().reason, "no coffee here");
    await alice.invite(roomId, him);
    await until("the invite", () => mine(bob, roomId) === "invite");
    await bob.joinRoom(roomId);
    await until("bob is back", () => mine(bob, roomId) === "join");
    await alice.ban(roomId, him, "still coffee");
    await sees("bob sees that he was banned", () => mine(bob, roomId) === "ban");
    await refused("who is banned cannot join", "M_FORBIDDEN", bob.joinRoom(roomId));
    await refused("nor be invited", "M_FORBIDDEN", alice.invite(roomId, him));
    await alice.unban(roomId, him);
    await sees("alice sees the ban lifted", () => membership(alice, roomId, him) === "leave");
    await bob.forget(roomId, true);
    await refused("who has forgotten the room reads nothing", "M_FORBIDDEN", bob.roomState(roomId));
}

export async function addresses(alice, bob) {
    const { room_id: roomId } = await alice.createRoom({ preset: "public_chat", name: "Rose garden", topic: "roses" });
    const alias = (name) => `#${name}-js:${alice.getDomain()}`;
    await alice.createAlias(alias("roses"), roomId);
    same("an alias leads to the room", (await bob.getRoomIdForAlias(alias("roses"))).room_id, roomId);
    await refused("only members give a room an alias", "M_FORBIDDEN", bob.createAlias(alias("thorns"), roomId));
    await bob.joinRoom(alias("roses"));
    await sees("bob joins by the alias", () => mine(bob, roomId) === "join");
    await refused("an alias is given once", "M_UNKNOWN", bob.createAlias(alias("roses"), roomId));
    await alice.createAlias(alias("more-roses"), roomId);
    same("a room has several", (await bob.getLocalAliases(roomId)).aliases.sort(), [alias("more-roses"), alias("roses")]);
    await alice.sendStateEvent(roomId, "m.room.canonical_alias", { alias: alias("roses") }, "");
    await sees("bob sees the main one", () => bob.getRoom(roomId).getCanonicalAlias() === alias("roses"));
    await refused("bob may not remove alice's", "M_FORBIDDEN", bob.deleteAlias(alias("more-roses")));
    await alice.deleteAlias(alias("more-roses"));
    await refused("a removed one leads nowhere", "M_NOT_FOUND", bob.getRoomIdForAlias(alias("more-roses")));

    const find = async () => (await bob.publicRooms({ filter: { generic_search_term: "rose garden" } })).chunk;
    same("the room is not in the directory", await find(), []);
    await alice.setRoomDirectoryVisibility(roomId, "public");
    const [listed] = await find();
    same("then it is", [listed?.room_id, listed?.num_joined_members], [roomId, 2]);
    same("and bob can ask whether", (await bob.getRoomDirectoryVisibility(roomId)).visibility, "public");
    const summary = await bob.getRoomSummary(alias("roses"));
    same("a summary tells its name and size", [summary.name, summary.num_joined_members], ["Rose garden", 2]);
    const shared = await bob._unstable_getSharedRooms(alice.getUserId());
    check("it is among the rooms that they share", shared.includes(roomId));
}

export async function knocking(alice, bob) {
    const him = bob.getUserId();
    const initial_state = [{ type: "m.room.join_rules", state_key: "", content: { join_rule: "knock" } }];
    const { room_id: roomId } = await alice.createRoom({ name: "Club", initial_state });
    const knock = async (reason) => {
        await bob.knockRoom(roomId, { reason });
        await until("alice sees the knock", () => membership(alice, roomId, him) === "knock");
    };
    await knock("it rains");
    const { reason } = alice.getRoom(roomId).getMember(him).events.member.getContent();
    same("alice sees the knock and why", reason, "it rains");
    await sees("bob sees that he has knocked", () => mine(bob, roomId) === "knock");
    same("and at what", bob.getRoom(roomId).name, "Club");
    await alice.kick(roomId, him, "go home");
    await sees("bob sees that he is not let in", () => mine(bob, roomId) === "leave");
    await knock("please");
    await alice.invite(roomId, him);
    await sees("then that he is", () => mine(bob, roomId) === "invite");
    await bob.joinRoom(roomId);
    await sees("alice sees him come in", () => membership(alice, roomId, him) === "join");
}

export async function spaces(alice, bob) {
    const creation_content = { type: "m.space" };
    const space = await meeting({ name: "Village", creation_content }, alice, bob);
    const via = [alice.getDomain()];
    const child = async (name, options, content) => {
        const { room_id: roomId } = await alice.createRoom({ name, ...options });
        await alice.sendStateEvent(space, "m.space.child", { via, ...content }, roomId);
        return roomId;
    };
    const green = await child("Green", { preset: "public_chat" }, { suggested: true });
    const allow = [{ type: "m.room_membership", room_id: space }];
    const rules = { type: "m.room.join_rules", state_key: "", content: { join_rule: "restricted", allow } };
    const hall = await child("Hall", { initial_state: [rules] }, { suggested: false });
    const secret = await child("Cellar", {}, {});
    check("bob sees that it is a space", bob.getRoom(space).isSpaceRoom());
    const children = () => bob.getRoom(space).currentState.getStateEvents("m.space.child").length === 3;
    await sees("and its children", children);
    const hierarchy = new RoomHierarchy(bob.getRoom(space), 2);
    while (hierarchy.canLoadMore) await hierarchy.load();
    const names = hierarchy.rooms.map((room) => room.name).sort();
    same("the hierarchy, by pages, has what he may see", names, ["Green", "Hall", "Village"]);
    check("with what is suggested", hierarchy.isSuggested(space, green) && !hierarchy.isSuggested(space, hall));
    const { rooms } = await bob.getRoomHierarchy(space, 10, 1, true);
    same("or that alone", rooms.map((room) => room.name).sort(), ["Green", "Village"]);
    await bob.joinRoom(hall);
    await sees("being in the space lets him into the restricted room", () => mine(bob, hall) === "join");
    await refused("but not into the private one", "M_FORBIDDEN", bob.joinRoom(secret));
}

export async function upgrades(alice, bob) {
    const old = await meeting({ name: "Old house", topic: "creaks", room_version: "10" }, alice, bob);
    await alice.setPowerLevel(old, bob.getUserId(), 40);
    await until("the power", () => bob.getRoom(old).getMember(bob.getUserId()).powerLevel === 40);
    await refused("a version that does not exist", "M_UNSUPPORTED_ROOM_VERSION", alice.upgradeRoom(old, "999"));
    const { replacement_room: house } = await alice.upgradeRoom(old, "12");
    const tombstone = await sees("bob sees the old room closed", () => state(bob, old, "m.room.tombstone"));
    same("and where to go", tombstone.replacement_room, house);
    await refused("nobody talks there", "M_FORBIDDEN", bob.sendTextMessage(old, "anybody?"));
    await alice.invite(house, bob.getUserId());
    await bob.joinRoom(house);
    await until("the new house", () => mine(bob, house) === "join");
    same("the new room has the new version", bob.getRoom(house).getVersion(), "12");
    same("its predecessor", bob.getRoom(house).findPredecessor().roomId, old);
    same("its name", bob.getRoom(house).name, "Old house");
    same("its topic", state(bob, house, "m.room.topic").topic, "creaks");
    same("and bob's power", bob.getRoom(house).getMember(bob.getUserId()).powerLevel, 40);
    same("both are one history", bob.getRoomUpgradeHistory(house, true).map((room) => room.roomId), [old, house]);
}

export async function peeking(alice, bob) {
    const readable = { type: "m.room.history_visibility", state_key: "", content: { history_visibility: "world_readable" } };
    const { room_id: roomId } = await alice.createRoom({ preset: "public_chat", name: "Window", initial_state: [readable] });
    const { event_id: hello } = await alice.sendTextMessage(roomId, "to all");
    await heard(alice, roomId, hello);
    const room = await bob.peekInRoom(roomId);
    same("bob reads without joining", room.findEventById(hello)?.getContent().body, "to all");
    bob.stopPeeking();
    const at = alice.getRoom(roomId).findEventById(hello).getTs();
    same("the event at a time", (await bob.timestampToEvent(roomId, at, "f")).event_id, hello);
    const initial = await bob.roomInitialSync(roomId, 5);
    check("the old initial sync of a room", initial.messages.chunk.some((event) => event.event_id === hello));
    await refused("only members report what is said", "M_NOT_FOUND", bob.reportEvent(roomId, hello, -100, "too loud"));
    await bob.joinRoom(roomId);
    same("a report of the event", await bob.reportEvent(roomId, hello, -100, "too loud"), {});
    same("a report of the room", await bob.reportRoom(roomId, "all too loud"), {});
}
