// What is served beside the specification, as matrix-js-sdk uses it: delayed events (MSC4140), RTC transports (MSC4143), related
// redactions (MSC3912), deleted account data (MSC3391), and a dehydrated device (MSC3814) that receives a room key while its
// user is logged out. Usage: node unstable.mjs BASE_URL
import { authenticated, check, client, end, heard, login, meeting, refused, registered, repliesInThread, same, scene, sees } from "./people.mjs";
import { started, state, until } from "./people.mjs";

const alice = await registered("alice-unstable");
const bob = await registered("bob-unstable");
await Promise.all([started(alice), started(bob)]);
const roomId = await meeting({ preset: "trusted_private_chat" }, alice, bob);

await scene("delayed events", async () => {
    const type = "org.matrix.msc3401.call.member";
    const key = `_${alice.getUserId()}_${alice.getDeviceId()}_m.call`;
    const inCall = () => Object.keys(state(bob, roomId, type, key) ?? {}).length > 0;
    await alice.sendStateEvent(roomId, type, { application: "m.call" }, key);
    await sees("bob sees alice in the call", inCall);
    const delayed = async (delay, stateKey) =>
        (await alice._unstable_sendDelayedStateEvent(roomId, { delay }, type, {}, stateKey)).delay_id;
    const leaving = await delayed(60000, key);
    await alice._unstable_restartScheduledDelayedEvent(leaving);
    const waiting = await alice._unstable_getDelayedEvent(leaving);
    same("what waits is told", [waiting.room_id, waiting.delay_ms], [roomId, 60000]);
    await alice._unstable_sendScheduledDelayedEvent(leaving);
    await sees("sent at once, bob sees alice leave", () => !inCall());
    // upon which a call is entered again
    await refused("it waits no more", "M_NOT_FOUND", alice._unstable_restartScheduledDelayedEvent(leaving));
    const cancelled = await delayed(60000, "other");
    await alice._unstable_cancelScheduledDelayedEvent(cancelled);
    await refused("one that was cancelled neither", "M_NOT_FOUND", alice._unstable_restartScheduledDelayedEvent(cancelled));
    const content = { msgtype: "m.text", body: "late" };
    const late = await alice._unstable_sendDelayedEvent(roomId, { delay: 300 }, null, "m.room.message", content);
    const events = () => bob.getRoom(roomId).getLiveTimeline().getEvents();
    await sees("bob hears what was sent late", () => events().some((event) => event.getContent().body === "late"));
    check("alice knows what became of it", (await alice._unstable_getDelayedEvent(late.delay_id)).finalised.event_id);
    const long = await alice._unstable_sendDelayedStateEvent(roomId, { delay: 10 ** 12 }, type, {}, "x").then(
        () => "nothing",
        (error) => error.data["org.matrix.msc4140.errcode"],
    );
    same("a delay without end is refused", long, "M_MAX_DELAY_EXCEEDED");
    check("where calls run is told", Array.isArray(await alice._unstable_getRTCTransports()));
});

await scene("related redactions and deleted account data", async () => {
    const { event_id: first } = await alice.sendTextMessage(roomId, "first");
    await heard(bob, roomId, first);
    const reply = await repliesInThread(bob, roomId, first, "a reply in its thread");
    await alice.redactEvent(roomId, first, "r1", { with_rel_types: ["m.thread"] });
    const emptied = async () => Object.keys((await bob.fetchRoomEvent(roomId, reply)).content).length === 0;
    await sees("a thread is redacted with its root", emptied);
    await alice.setAccountData("org.example", { a: 1 });
    await alice.deleteAccountData("org.example");
    const deleted = () => Object.keys(alice.getAccountData("org.example")?.getContent() ?? { a: 1 }).length === 0;
    await sees("account data is deleted", deleted);
});

let awake;
await scene("a dehydrated device", async () => {
    const crypto = bob.getCrypto();
    const authUploadDeviceSigningKeys = (request) => authenticated(bob.getUserId(), request);
    await crypto.bootstrapCrossSigning({ authUploadDeviceSigningKeys });
    await crypto.bootstrapSecretStorage({ createSecretStorageKey: async () => crypto.createRecoveryKeyFromPassphrase() });
    await sees("bob can recover", async () => (await crypto.isCrossSigningReady()) && (await crypto.isSecretStorageReady()));
    check("devices are dehydrated here", await crypto.isDehydrationSupported());
    await crypto.startDehydration();
    await alice.sendStateEvent(roomId, "m.room.encryption", { algorithm: "m.megolm.v1.aes-sha2" }, "");
    await until("the encryption", () => alice.getRoom(roomId).hasEncryptionStateEvent());
    bob.stopClient();
    await bob.logout();
    const { event_id: secret } = await alice.sendTextMessage(roomId, "while you slept");

    awake = await started(client(await login(bob.getUserId()), bob.secrets));
    await until("his identity", () => awake.getCrypto().userHasCrossSigningKeys(bob.getUserId(), true));
    await awake.getCrypto().bootstrapCrossSigning({});
    await sees("bob is back", () => awake.getCrypto().isCrossSigningReady());
    await awake.getCrypto().startDehydration();
    const event = await heard(awake, roomId, secret);
    const legible = () => event.getType() === "m.room.message" && !event.isDecryptionFailure();
    await sees("the dehydrated device received the key of a message", legible);
    same("which he reads", event.getContent().body, "while you slept");
});
end(alice, ...(awake ? [awake] : []));
