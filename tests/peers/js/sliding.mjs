// Two people talk over sliding sync (MSC4186), also encrypted. Usage: node sliding.mjs BASE_URL
import assert from "node:assert/strict";
import "./node20.mjs";
import * as sdk from "matrix-js-sdk";
import { logger } from "matrix-js-sdk/lib/logger.js";
import { SlidingSync } from "matrix-js-sdk/lib/sliding-sync.js";

logger.setLevel("error");
console.debug = console.info = () => {};
const baseUrl = process.argv[2];

async function registered(name) {
    const anybody = sdk.createClient({ baseUrl });
    const body = { username: `${name}-sliding`, password: "correct horse battery" };
    const session = await anybody.registerRequest(body).then(
        () => assert.fail("registration without authentication"),
        (error) => (assert.equal(error.httpStatus, 401), error.data.session),
    );
    const account = await anybody.registerRequest({ ...body, auth: { type: "m.login.dummy", session } });
    const { user_id: userId, access_token: accessToken, device_id: deviceId } = account;
    return sdk.createClient({ baseUrl, userId, accessToken, deviceId, timelineSupport: true, logger });
}

async function started(client) {
    await client.initRustCrypto({ useIndexedDB: false });
    const config = {
        timeline_limit: 5,
        required_state: [["*", "*"], ["m.room.member", "$LAZY"], ["m.room.member", "$ME"]],
    };
    const lists = new Map([["all", { ranges: [[0, 99]], ...config }]]);
    const slidingSync = new SlidingSync(baseUrl, lists, config, client, 20000);
    await client.startClient({ slidingSync, lazyLoadMembers: true, threadSupport: true });
    await until(client, () => ["PREPARED", "SYNCING"].includes(client.getSyncState()));
}

// Resolves once `condition()` is truthy.
async function until(client, condition) {
    for (;;) {
        const value = condition();
        if (value) return value;
        await new Promise((resolve) => {
            const timer = setTimeout(resolve, 50);
            client.once("sync", () => (clearTimeout(timer), resolve()));
        });
    }
}

const heard = (client, roomId, eventId) => until(client, () => client.getRoom(roomId)?.findEventById(eventId));

const alice = await registered("alice");
const bob = await registered("bob");
await Promise.all([started(alice), started(bob)]);

const { room_id: roomId } = await alice.createRoom({ name: "Tea", invite: [bob.getUserId()] });
await until(bob, () => bob.getRoom(roomId)?.getMyMembership() === "invite");
await bob.joinRoom(roomId);
await until(bob, () => bob.getRoom(roomId)?.getMyMembership() === "join");
await until(bob, () => bob.getRoom(roomId)?.name === "Tea");
const { event_id: hello } = await alice.sendTextMessage(roomId, "hello");
assert.equal((await heard(bob, roomId, hello)).getContent().body, "hello");
console.log("invited, joined and heard");

await alice.sendTyping(roomId, true, 30000);
await until(bob, () => bob.getRoom(roomId).getMember(alice.getUserId())?.typing);
await bob.sendReadReceipt(bob.getRoom(roomId).findEventById(hello));
await until(alice, () => alice.getRoom(roomId)?.hasUserReadEvent(bob.getUserId(), hello));
await bob.setRoomTag(roomId, "m.favourite", { order: 0.5 });
await until(bob, () => bob.getRoom(roomId).tags["m.favourite"]);
await bob.setAccountData("m.direct", { [alice.getUserId()]: [roomId] });
await until(bob, () => bob.getAccountData("m.direct")?.getContent()[alice.getUserId()]);
console.log("typing, receipts and account data");

await alice.sendStateEvent(roomId, "m.room.encryption", { algorithm: "m.megolm.v1.aes-sha2" }, "");
await until(bob, () => bob.getRoom(roomId).hasEncryptionStateEvent());
await until(alice, () => alice.getRoom(roomId).hasEncryptionStateEvent());
const { event_id: secret } = await alice.sendTextMessage(roomId, "a secret");
const encrypted = await heard(bob, roomId, secret);
assert.equal(encrypted.getWireType(), "m.room.encrypted");
await until(bob, () => encrypted.getType() === "m.room.message" && !encrypted.isDecryptionFailure());
assert.equal(encrypted.getContent().body, "a secret");
console.log("encrypted");

await bob.leave(roomId);
await until(alice, () => alice.getRoom(roomId).getMember(bob.getUserId())?.membership === "leave");

alice.stopClient();
bob.stopClient();
console.log("all said and done");
process.exit(0);
