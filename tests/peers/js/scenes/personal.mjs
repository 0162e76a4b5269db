// What is one's own: account data, tags, profile, files, push rules and pushers, filters, ignored people, messages to devices.
import { Filter } from "matrix-js-sdk";
import { check, client, heard, login, meeting, refused, same, sees, started, state, until } from "../people.mjs";

const PIXEL = Buffer.from(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==",
    "base64",
);

export async function data(alice, bob) {
    const roomId = await meeting({ name: "Data" }, alice, bob);
    const second = await started(client(await login(bob.getUserId())));
    const room = await until("the room at the second device", () => second.getRoom(roomId));
    await bob.setAccountData("m.direct", { [alice.getUserId()]: [roomId] });
    const direct = () => second.getAccountData("m.direct")?.getContent()[alice.getUserId()];
    await sees("account data reaches the other device", direct);
    same("the server has it", (await bob.getAccountDataFromServer("m.direct"))[alice.getUserId()], [roomId]);
    await bob.setRoomAccountData(roomId, "org.example.colour", { is: "green" });
    await sees("so does that of a room", () => room.getAccountData("org.example.colour")?.getContent().is === "green");
    await bob.setRoomTag(roomId, "m.favourite", { order: 0.5 });
    await sees("and a tag", () => room.tags["m.favourite"]?.order === 0.5);
    same("which the server lists", (await bob.getRoomTags(roomId)).tags, { "m.favourite": { order: 0.5 } });
    await bob.deleteRoomTag(roomId, "m.favourite");
    await sees("and its removal", () => !room.tags["m.favourite"]);
    check("alice sees nothing of it", !alice.getAccountData("m.direct")?.getContent()[bob.getUserId()]);

    let note;
    second.on("toDeviceEvent", (event) => event.getType() === "org.example.note" && (note = event));
    const devices = new Map([[second.getDeviceId(), { words: "for this device" }]]);
    await alice.sendToDevice("org.example.note", new Map([[bob.getUserId(), devices]]));
    await sees("a message to one device", () => note?.getContent().words === "for this device");
    same("tells who sent it", note.getSender(), alice.getUserId());
    second.stopClient();
    await second.logout();

    const { event_id: before } = await alice.sendTextMessage(roomId, "before");
    await heard(bob, roomId, before);
    await bob.setIgnoredUsers([alice.getUserId()]);
    await sees("bob ignores alice", () => bob.isUserIgnored(alice.getUserId()));
    const { event_id: lost } = await alice.sendTextMessage(roomId, "ignored");
    await alice.setRoomTopic(roomId, "state is shown all the same");
    await sees("what she does to the room is seen", () => state(bob, roomId, "m.room.topic"));
    await bob.setIgnoredUsers([]);
    await until("no more", () => !bob.isUserIgnored(alice.getUserId()));
    const { event_id: after } = await alice.sendTextMessage(roomId, "after");
    await heard(bob, roomId, after);
    check("and did not hear her meanwhile", !bob.getRoom(roomId).getLiveTimeline().getEvents().some((e) => e.getId() === lost));
}

export async function profiles(alice, bob) {
    const roomId = await meeting({ name: "Faces" }, alice, bob);
    const her = alice.getUserId();
    await alice.setDisplayName("Alice Liddell");
    await sees("bob sees alice's new name in the room", () => bob.getRoom(roomId).getMember(her).name === "Alice Liddell");
    const { content_uri: face } = await alice.uploadContent(PIXEL, { type: "image/png", name: "face.png" });
    await alice.setAvatarUrl(face);
    await sees("and her picture", () => bob.getRoom(roomId).getMember(her).getMxcAvatarUrl() === face);
    same("her profile", await bob.getProfileInfo(her), { displayname: "Alice Liddell", avatar_url: face });
    await alice.setExtendedProfileProperty("m.tz", "Europe/London");
    same("and where her clock stands", await bob.getExtendedProfileProperty(her, "m.tz"), "Europe/London");
    await alice.deleteExtendedProfileProperty("m.tz");
    await refused("until she takes it away", "M_NOT_FOUND", bob.getProfileInfo(her, "m.tz"));
    const { results } = await bob.searchUserDirectory({ term: "liddell" });
    same("she is found by her name", results.map((user) => user.user_id), [her]);

    const get = (uri, width, height) => {
        const url = bob.mxcUrlToHttp(uri, width, height, width && "scale", false, true, true);
        return fetch(url, { headers: { Authorization: `Bearer ${bob.getAccessToken()}` } });
    };
    const { content_uri: file } = await alice.uploadContent("a small file", { type: "text/plain", name: "small.txt" });
    const small = await get(file);
    same("bob downloads what alice uploaded", await small.text(), "a small file");
    check("with its name", small.headers.get("content-disposition").includes("small.txt"));
    const thumbnail = await get(face, 32, 32);
    same("and a thumbnail", thumbnail.headers.get("content-type").split("/")[0], "image");
    const nobody = await fetch(bob.mxcUrlToHttp(file, undefined, undefined, undefined, false, true, true));
    same("nobody else does", nobody.status, 401);
    const away = await get(`mxc://${alice.getDomain()}/nothing`);
    same("nor what is not there", away.status, 404);
}

export async function pushes(alice, bob) {
    const roomId = await meeting({ name: "Noise" }, alice, bob);
    const room = bob.getRoom(roomId);
    const count = (type) => room.getUnreadNotificationCount(type) ?? 0;
    const actions = ["notify", { set_tweak: "highlight" }];
    await bob.addPushRule("global", "content", "biscuit", { pattern: "biscuit", actions });
    const rule = () => bob.pushRules?.global.content.find(({ rule_id }) => rule_id === "biscuit");
    await sees("a new push rule comes through sync", rule);
    await alice.sendTextMessage(roomId, "a biscuit?");
    await sees("and lets the word call him", () => count("highlight") === 1);
    await bob.setPushRuleEnabled("global", "content", "biscuit", false);
    await sees("the rule is off", () => rule()?.enabled === false);
    await bob.setPushRuleActions("global", "content", "biscuit", ["notify"]);
    await sees("has other actions", () => rule()?.actions.length === 1);
    await bob.deletePushRule("global", "content", "biscuit");
    await sees("is gone", () => !rule());
    await bob.setRoomMutePushRule("global", roomId, true);
    await until("the muted room", () => bob.getRoomPushRule("global", roomId));
    const before = count("total");
    const { event_id: quiet } = await alice.sendTextMessage(roomId, "psst");
    await heard(bob, roomId, quiet);
    same("a muted room counts nothing", count("total"), before);

    const pusher = {
        kind: "http",
        app_id: "org.example.tea",
        pushkey: "some key",
        app_display_name: "Tea",
        device_display_name: "Kettle",
        lang: "en",
        data: { url: "https://push.example/_matrix/push/v1/notify", format: "event_id_only" },
    };
    await bob.setPusher(pusher);
    const [listed] = (await bob.getPushers()).pushers;
    same("a pusher is kept", [listed?.pushkey, listed?.app_display_name], ["some key", "Tea"]);
    await bob.removePusher("some key", "org.example.tea");
    same("and removed", (await bob.getPushers()).pushers, []);
    await bob.setLocalNotificationSettings(bob.getDeviceId(), { is_silenced: true });
    const silenced = `org.matrix.msc3890.local_notification_settings.${bob.getDeviceId()}`;
    await sees("a device is silenced", () => bob.getAccountData(silenced)?.getContent().is_silenced);
}

export async function filters(alice, bob) {
    const filter = new Filter(bob.getUserId());
    filter.setDefinition({ room: { timeline: { limit: 3, types: ["m.room.message"] } } });
    const id = await bob.getOrCreateFilter("few", filter);
    const { definition } = await bob.getFilter(bob.getUserId(), id, false);
    same("a filter is kept", definition.room.timeline, { limit: 3, types: ["m.room.message"] });
    const roomId = await meeting({ name: "Filtered" }, alice, bob);
    for (const words of ["one", "two", "three", "four"]) await alice.sendTextMessage(roomId, words);
    const reply = await bob.http.authedRequest("GET", "/sync", { filter: id, timeout: 0 });
    const { events, limited } = reply.rooms.join[roomId].timeline;
    same("and followed by sync", events.map((event) => event.content.body), ["two", "three", "four"]);
    check("which tells that there is more", limited);
    const only = { room: { rooms: [roomId], timeline: { not_types: ["*"] }, state: { types: ["m.room.name"] } } };
    const { rooms } = await bob.http.authedRequest("GET", "/sync", { filter: JSON.stringify(only), timeout: 0 });
    same("a filter by room", Object.keys(rooms.join), [roomId]);
    same("and type of state", rooms.join[roomId].state.events.map((event) => event.type), ["m.room.name"]);
}
