// Two people talk over sliding sync (MSC4186), also encrypted. Usage: node sliding.mjs BASE_URL
import { SlidingSync } from "matrix-js-sdk/lib/sliding-sync.js";
import { baseUrl, check, end, heard, registered, same, scene, sees, state, until } from "./people.mjs";

async function started(client) {
    await client.initRustCrypto({ useIndexedDB: false });
    const config = {
        timeline_limit: 5,
        required_state: [["*", "*"], ["m.room.member", "$LAZY"], ["m.room.member", "$ME"]],
    };
    const lists = new Map([["all", { ranges: [[0, 99]], ...config }]]);
    const slidingSync = new SlidingSync(baseUrl, lists, config, client, 20000);
    await client.startClient({ slidingSync, lazyLoadMembers: true, threadSupport: true });
    await until("the first sync", () => ["PREPARED", "SYNCING"].includes(client.getSyncState()));
    return client;
}

const mine = (client, roomId) => client.getRoom(roomId)?.getMyMembership();
const alice = await registered("alice-sliding");
const bob = await registered("bob-sliding");
await Promise.all([started(alice), started(bob)]);
const { room_id: roomId } = await alice.createRoom({ name: "Tea", invite: [bob.getUserId()] });

await scene("talk", async () => {
    await sees("bob is invited", () => mine(bob, roomId) === "invite");
    await bob.joinRoom(roomId);
    await sees("bob has joined", () => mine(bob, roomId) === "join");
    await sees("bob sees the room's name", () => bob.getRoom(roomId)?.name === "Tea");
    const { event_id: hello } = await alice.sendTextMessage(roomId, "hello");
    same("bob hears alice", (await heard(bob, roomId, hello)).getContent().body, "hello");

    await alice.sendTyping(roomId, true, 30000);
    await sees("bob sees alice type", () => bob.getRoom(roomId).getMember(alice.getUserId())?.typing);
    await bob.sendReadReceipt(bob.getRoom(roomId).findEventById(hello));
    await sees("alice sees bob's receipt", () => alice.getRoom(roomId)?.hasUserReadEvent(bob.getUserId(), hello));
    await bob.setRoomTag(roomId, "m.favourite", { order: 0.5 });
    await sees("a tag", () => bob.getRoom(roomId).tags["m.favourite"]);
    await bob.setAccountData("m.direct", { [alice.getUserId()]: [roomId] });
    await sees("account data", () => bob.getAccountData("m.direct")?.getContent()[alice.getUserId()]);
    const { event_id: more } = await alice.sendTextMessage(roomId, "more");
    await heard(bob, roomId, more);
    await sees("the unread count", () => bob.getRoom(roomId).getUnreadNotificationCount("total") === 1);
    await alice.setRoomTopic(roomId, "and biscuits");
    await sees("a change of state", () => state(bob, roomId, "m.room.topic")?.topic === "and biscuits");
    let note;
    bob.on("toDeviceEvent", (event) => event.getType() === "org.example.note" && (note = event.getContent().words));
    const devices = new Map([[bob.getDeviceId(), { words: "for this device" }]]);
    await alice.sendToDevice("org.example.note", new Map([[bob.getUserId(), devices]]));
    await sees("a message to the device", () => note === "for this device");
    const { room_id: other } = await alice.createRoom({ preset: "public_chat", name: "Coffee" });
    await bob.joinRoom(other);
    await sees("a second room comes to the list", () => bob.getRoom(other)?.name === "Coffee");
});

await scene("secrets", async () => {
    await alice.sendStateEvent(roomId, "m.room.encryption", { algorithm: "m.megolm.v1.aes-sha2" }, "");
    await sees("bob sees the encryption", () => bob.getRoom(roomId).hasEncryptionStateEvent());
    await until("alice too", () => alice.getRoom(roomId).hasEncryptionStateEvent());
    const { event_id: secret } = await alice.sendTextMessage(roomId, "a secret");
    const encrypted = await heard(bob, roomId, secret);
    check("what comes is encrypted", encrypted.getWireType() === "m.room.encrypted");
    await sees("bob can read it", () => encrypted.getType() === "m.room.message" && !encrypted.isDecryptionFailure());
    same("and reads what was said", encrypted.getContent().body, "a secret");
});

await scene("goodbye", async () => {
    await bob.leave(roomId);
    await sees("alice sees bob leave", () => alice.getRoom(roomId).getMember(bob.getUserId())?.membership === "leave");
});
end(alice, bob);
