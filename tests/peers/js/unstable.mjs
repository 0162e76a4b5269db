// What is served beside the specification, as matrix-js-sdk uses it: delayed events (MSC4140), RTC transports (MSC4143), related
// redactions (MSC3912), deleted account data (MSC3391), and a dehydrated device (MSC3814) that receives a room key while its
// user is logged out. Usage: node unstable.mjs BASE_URL
import assert from "node:assert/strict";
import "./node20.mjs";
import * as sdk from "matrix-js-sdk";
import { logger } from "matrix-js-sdk/lib/logger.js";

logger.setLevel("error");
console.debug = console.info = () => {};
const baseUrl = process.argv[2];
const password = "correct horse battery";

async function registered(name) {
    const anybody = sdk.createClient({ baseUrl });
    const body = { username: `${name}-unstable`, password };
    const session = await anybody.registerRequest(body).then(
        () => assert.fail("registration without authentication"),
        (error) => (assert.equal(error.httpStatus, 401), error.data.session),
    );
    const account = await anybody.registerRequest({ ...body, auth: { type: "m.login.dummy", session } });
    return client(account);
}

// Who has logged in, with a place for the keys of the secret storage.
function client({ user_id: userId, access_token: accessToken, device_id: deviceId }, secrets = {}) {
    const cryptoCallbacks = {
        getSecretStorageKey: async ({ keys }) => {
            const id = Object.keys(keys).find((name) => secrets[name]);
            return id ? [id, secrets[id]] : null;
        },
        cacheSecretStorageKey: (id, _info, key) => (secrets[id] = key),
    };
    const made = sdk.createClient({ baseUrl, userId, accessToken, deviceId, logger, cryptoCallbacks });
    made.secrets = secrets;
    return made;
}

async function started(one) {
    await one.initRustCrypto({ useIndexedDB: false });
    await one.startClient({ initialSyncLimit: 20 });
    await until(one, () => ["PREPARED", "SYNCING"].includes(one.getSyncState()));
}

async function until(one, condition) {
    for (;;) {
        const value = await condition();
        if (value) return value;
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
}

const alice = await registered("alice");
const bob = await registered("bob");
await Promise.all([started(alice), started(bob)]);
const { room_id: roomId } = await alice.createRoom({ preset: "trusted_private_chat", invite: [bob.getUserId()] });
await bob.joinRoom(roomId);
await until(alice, () => alice.getRoom(roomId)?.getMember(bob.getUserId())?.membership === "join");

const type = "org.matrix.msc3401.call.member";
const key = `_${alice.getUserId()}_${alice.getDeviceId()}_m.call`;
await alice.sendStateEvent(roomId, type, { application: "m.call" }, key);
const delayed = async (delay, stateKey) =>
    (await alice._unstable_sendDelayedStateEvent(roomId, { delay }, type, {}, stateKey)).delay_id;
const leaving = await delayed(60000, key);
await alice._unstable_restartScheduledDelayedEvent(leaving);
const waiting = await alice._unstable_getDelayedEvent(leaving);
assert.equal(waiting.room_id, roomId);
assert.equal(waiting.delay_ms, 60000);
await alice._unstable_sendScheduledDelayedEvent(leaving);
await until(bob, () => Object.keys(bob.getRoom(roomId).currentState.getStateEvents(type, key)?.getContent() ?? { a: 1 }).length === 0);
await alice._unstable_restartScheduledDelayedEvent(leaving).then(
    () => assert.fail("it was sent already"),
    (error) => assert.equal(error.errcode, "M_NOT_FOUND"), // upon which a call is entered again
);
await alice._unstable_cancelScheduledDelayedEvent(await delayed(60000, "other"));
const late = await alice._unstable_sendDelayedEvent(roomId, { delay: 300 }, null, "m.room.message", {
    msgtype: "m.text",
    body: "late",
});
await until(bob, () => bob.getRoom(roomId).getLiveTimeline().getEvents().some((e) => e.getContent().body === "late"));
assert.ok((await alice._unstable_getDelayedEvent(late.delay_id)).finalised.event_id);
await alice._unstable_sendDelayedStateEvent(roomId, { delay: 10 ** 12 }, type, {}, "x").then(
    () => assert.fail("the delay is too long"),
    (error) => assert.equal(error.data["org.matrix.msc4140.errcode"], "M_MAX_DELAY_EXCEEDED"),
);
assert.ok(Array.isArray(await alice._unstable_getRTCTransports()));
console.log("delayed events and transports");

const { event_id: first } = await alice.sendTextMessage(roomId, "first");
const { event_id: reply } = await bob.sendMessage(roomId, first, { msgtype: "m.text", body: "a reply in its thread" });
await alice.redactEvent(roomId, first, "r1", { with_rel_types: ["m.thread"] });
await until(bob, async () => Object.keys((await bob.fetchRoomEvent(roomId, reply)).content).length === 0);
await alice.setAccountData("org.example", { a: 1 });
await alice.deleteAccountData("org.example");
await until(alice, () => Object.keys(alice.getAccountData("org.example")?.getContent() ?? { a: 1 }).length === 0);
console.log("related redactions and deleted account data");

const crypto = bob.getCrypto();
await crypto.bootstrapCrossSigning({
    authUploadDeviceSigningKeys: (request) =>
        request({ type: "m.login.password", identifier: { type: "m.id.user", user: bob.getUserId() }, password }).catch((error) =>
            request({
                type: "m.login.password",
                identifier: { type: "m.id.user", user: bob.getUserId() },
                password,
                session: error.data.session,
            }),
        ),
});
await crypto.bootstrapSecretStorage({ createSecretStorageKey: async () => crypto.createRecoveryKeyFromPassphrase() });
await until(bob, async () => (await crypto.isCrossSigningReady()) && (await crypto.isSecretStorageReady()));
assert.ok(await crypto.isDehydrationSupported());
await crypto.startDehydration();
await alice.sendStateEvent(roomId, "m.room.encryption", { algorithm: "m.megolm.v1.aes-sha2" }, "");
await until(alice, () => alice.getRoom(roomId).hasEncryptionStateEvent());
bob.stopClient();
await bob.logout();
const { event_id: secret } = await alice.sendTextMessage(roomId, "while you slept");

const login = await sdk.createClient({ baseUrl }).loginRequest({
    type: "m.login.password",
    identifier: { type: "m.id.user", user: bob.getUserId() },
    password,
});
const awake = client(login, bob.secrets);
await started(awake);
await awake.getCrypto().bootstrapCrossSigning({});
await until(awake, () => awake.getCrypto().isCrossSigningReady());
await awake.getCrypto().startDehydration();
const event = await until(awake, () => awake.getRoom(roomId)?.findEventById(secret));
await until(awake, () => event.getType() === "m.room.message" && !event.isDecryptionFailure());
assert.equal(event.getContent().body, "while you slept");
console.log("a dehydrated device received the key of a message");

awake.stopClient();
alice.stopClient();
console.log("all said and done");
process.exit(0);
