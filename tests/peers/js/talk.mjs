// matrix-js-sdk registers two people, who talk, edit, react, redact, paginate, read and upload. Usage: node talk.mjs BASE_URL
import assert from "node:assert/strict";
import "./node20.mjs";
import * as sdk from "matrix-js-sdk";
import { logger } from "matrix-js-sdk/lib/logger.js";

logger.setLevel("error");
console.debug = console.info = () => {};
const baseUrl = process.argv[2];

async function registered(name) {
    const anybody = sdk.createClient({ baseUrl });
    const username = `${name}-js`;
    const body = { username, password: "correct horse battery" };
    const session = await anybody.registerRequest(body).then(
        () => assert.fail("registration without authentication"),
        (error) => (assert.equal(error.httpStatus, 401), error.data.session),
    );
    const account = await anybody.registerRequest({ ...body, auth: { type: "m.login.dummy", session } });
    const { user_id: userId, access_token: accessToken, device_id: deviceId } = account;
    return sdk.createClient({ baseUrl, userId, accessToken, deviceId, timelineSupport: true });
}

async function started(client) {
    await client.startClient({ initialSyncLimit: 20, lazyLoadMembers: true, threadSupport: true });
    await until(client, "sync", () => client.getSyncState() === "PREPARED" || client.getSyncState() === "SYNCING");
}

// Resolves once `condition()` is truthy, looking again at each event of that name; "sync" comes after each reply of /sync.
function until(emitter, name, condition) {
    return new Promise((resolve) => {
        const look = () => {
            const value = condition();
            if (!value) return;
            emitter.off(name, look);
            resolve(value);
        };
        emitter.on(name, look);
        look();
    });
}

const heard = (client, roomId, eventId) =>
    until(client, "sync", () => client.getRoom(roomId)?.findEventById(eventId));

const alice = await registered("alice");
const bob = await registered("bob");
await Promise.all([started(alice), started(bob)]);

const { room_id: roomId } = await alice.createRoom({ name: "Tea", topic: "and biscuits", invite: [bob.getUserId()] });
await until(bob, "sync", () => bob.getRoom(roomId)?.getMyMembership() === "invite");
await bob.joinRoom(roomId);
await until(bob, "sync", () => bob.getRoom(roomId)?.getMyMembership() === "join");
await until(bob, "sync", () => bob.getRoom(roomId)?.name === "Tea");

const { event_id: hello } = await alice.sendTextMessage(roomId, "helo");
const local = await heard(bob, roomId, hello);
assert.equal(local.getContent().body, "helo");

await alice.sendMessage(roomId, {
    "msgtype": "m.text",
    "body": "* hello",
    "m.new_content": { msgtype: "m.text", body: "hello" },
    "m.relates_to": { rel_type: "m.replace", event_id: hello },
});
await until(bob, "sync", () => local.getContent().body === "hello");

const { event_id: wave } = await bob.sendEvent(roomId, "m.reaction", {
    "m.relates_to": { rel_type: "m.annotation", event_id: hello, key: "👋" },
});
await heard(alice, roomId, wave);

const { event_id: oops } = await bob.sendTextMessage(roomId, "oops");
const mistake = await heard(alice, roomId, oops);
await bob.redactEvent(roomId, oops, undefined, { reason: "wrong window" });
await until(alice, "sync", () => mistake.isRedacted());
assert.deepEqual(mistake.getContent(), {});

await alice.sendReadReceipt(mistake);
await until(bob, "sync", () => bob.getRoom(roomId).hasUserReadEvent(alice.getUserId(), oops));
await alice.sendTyping(roomId, true, 20_000);
await until(bob, "sync", () => bob.getRoom(roomId).getMember(alice.getUserId())?.typing);

let last;
for (let number = 0; number < 40; number++) {
    last = (await alice.sendTextMessage(roomId, `number ${number}`)).event_id;
}
await heard(bob, roomId, last);
await until(bob, "sync", () => bob.getRoom(roomId).getUnreadNotificationCount("total") >= 40);
const timeline = bob.getRoom(roomId).getLiveTimeline();
while (await bob.paginateEventTimeline(timeline, { backwards: true, limit: 10 }));
const types = timeline.getEvents().map((event) => event.getType());
assert.equal(types[0], "m.room.create");
assert.equal(timeline.getEvents().filter((event) => /^number/.test(event.getContent().body)).length, 40);
await bob.sendReadReceipt(bob.getRoom(roomId).findEventById(last));
await until(bob, "sync", () => bob.getRoom(roomId).hasUserReadEvent(bob.getUserId(), last));
await until(bob, "sync", () => bob.getRoom(roomId).getUnreadNotificationCount("total") === 0);

const { content_uri: uri } = await alice.uploadContent("a small file", { type: "text/plain", name: "small.txt" });
const url = bob.mxcUrlToHttp(uri, undefined, undefined, undefined, false, true, true);
const download = await fetch(url, { headers: { Authorization: `Bearer ${bob.getAccessToken()}` } });
assert.equal(await download.text(), "a small file");
assert.match(download.headers.get("content-disposition"), /small\.txt/);

await bob.leave(roomId);
await until(alice, "sync", () => alice.getRoom(roomId).getMember(bob.getUserId())?.membership === "leave");

alice.stopClient();
bob.stopClient();
console.log("all said and done");
process.exit(0);
