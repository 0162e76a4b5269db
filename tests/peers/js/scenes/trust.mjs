// Encryption: secret talk, cross-signing, verification by emoji, backup, recovery by a second device, and its removal.
import { VerificationPhase } from "matrix-js-sdk/lib/crypto-api/verification.js";
import { authenticated, check, client, heard, login, meeting, refused, same, sees, started, until, within } from "../people.mjs";

const encryption = { type: "m.room.encryption", state_key: "", content: { algorithm: "m.megolm.v1.aes-sha2" } };
const legible = (event) => event.getType() !== "m.room.encrypted" && !event.isDecryptionFailure();

async function reads(one, roomId, eventId) {
    const event = await heard(one, roomId, eventId);
    await until(`${one.getUserId()} can read ${eventId}`, () => legible(event));
    return event;
}

export async function secrecy(alice, bob) {
    const roomId = await meeting({ name: "Secrets", initial_state: [encryption] }, alice, bob);
    check("the room is encrypted for both", await encrypted(roomId, alice, bob));
    for (const [one, other, words] of [[alice, bob, "a secret"], [bob, alice, "well kept"]]) {
        const { event_id: eventId } = await one.sendTextMessage(roomId, words);
        const event = await reads(other, roomId, eventId);
        same(`${words}: read on the other side`, event.getContent().body, words);
        same(`${words}: unreadable for the server`, (await other.fetchRoomEvent(roomId, eventId)).type, "m.room.encrypted");
    }
    const { event_id: helo } = await alice.sendTextMessage(roomId, "helo");
    const local = await reads(bob, roomId, helo);
    const new_content = { msgtype: "m.text", body: "hello" };
    const relates = { "m.new_content": new_content, "m.relates_to": { rel_type: "m.replace", event_id: helo } };
    await alice.sendMessage(roomId, { msgtype: "m.text", body: "* hello", ...relates });
    await sees("an encrypted edit", () => local.getContent().body === "hello");
    await alice.getCrypto().forceDiscardSession(roomId);
    const { event_id: fresh } = await alice.sendTextMessage(roomId, "with a new key");
    const session = (event) => event.getWireContent().session_id;
    const next = await reads(bob, roomId, fresh);
    check("a new key is used and shared", session(next) !== session(local));

    let whisper;
    bob.on("receivedToDeviceMessage", ({ message, encryptionInfo }) => {
        if (message.type === "org.example.whisper") whisper = { words: message.content.words, from: encryptionInfo?.sender };
    });
    const devices = [{ userId: bob.getUserId(), deviceId: bob.getDeviceId() }];
    await alice.encryptAndSendToDevice("org.example.whisper", devices, { words: "psst" });
    await until("the whisper", () => whisper);
    same("an encrypted message to a device", whisper, { words: "psst", from: alice.getUserId() });
}

const encrypted = async (roomId, ...all) =>
    (await Promise.all(all.map((one) => one.getCrypto().isEncryptionEnabledInRoom(roomId)))).every(Boolean);

export async function identity(alice, bob) {
    for (const one of [alice, bob]) {
        const authUploadDeviceSigningKeys = (request) => authenticated(one.getUserId(), request);
        await one.getCrypto().bootstrapCrossSigning({ authUploadDeviceSigningKeys });
        check(`${one.getUserIdLocalpart()} has cross-signing keys`, await one.getCrypto().isCrossSigningReady());
    }
    const seen = async (one, other) => one.getCrypto().userHasCrossSigningKeys(other.getUserId(), true);
    await sees("each sees the other's", async () => (await seen(alice, bob)) && (await seen(bob, alice)));
    const status = () => bob.getCrypto().getDeviceVerificationStatus(alice.getUserId(), alice.getDeviceId());
    await sees("bob sees that alice signed her device", async () => (await status()).signedByOwner);
    check("but does not trust it yet", !(await status()).crossSigningVerified);
}

// Both see the same emoji and say so; the request has reached the other side.
async function compare(one, other, request, incoming) {
    await incoming.accept();
    await until("ready", () => request.phase === VerificationPhase.Ready && incoming.phase === VerificationPhase.Ready);
    const ours = await request.startVerification("m.sas.v1");
    const theirs = await until("the other verifier", () => incoming.verifier);
    const shown = [ours, theirs].map((verifier) => new Promise((resolve) => verifier.once("show_sas", resolve)));
    const done = [ours.verify(), theirs.verify()];
    const sas = await within("the emoji", Promise.race([Promise.all(shown), Promise.all(done)]));
    same("both see the same emoji", sas[0].sas.emoji, sas[1].sas.emoji);
    check("seven of them", sas[0].sas.emoji.length === 7);
    await within("the confirmations", Promise.all([...sas.map((callbacks) => callbacks.confirm()), ...done]));
    await until("done", () => request.phase === VerificationPhase.Done && incoming.phase === VerificationPhase.Done);
}

const comes = (one) =>
    within("the request", new Promise((resolve) => one.once("crypto.verificationRequestReceived", resolve)));

export async function verification(alice, bob) {
    const roomId = await meeting({ name: "Verify", is_direct: true, initial_state: [encryption] }, alice, bob);
    const coming = comes(bob);
    const request = await alice.getCrypto().requestVerificationDM(bob.getUserId(), roomId);
    const incoming = await coming;
    same("bob is asked to verify in the room", [incoming.roomId, incoming.otherUserId], [roomId, alice.getUserId()]);
    await compare(alice, bob, request, incoming);
    for (const [one, other] of [[alice, bob], [bob, alice]]) {
        const verified = async () => (await one.getCrypto().getUserVerificationStatus(other.getUserId())).isVerified();
        await sees(`${one.getUserIdLocalpart()} has verified ${other.getUserIdLocalpart()}`, verified);
    }
    const status = await bob.getCrypto().getDeviceVerificationStatus(alice.getUserId(), alice.getDeviceId());
    check("and with her the device that she signed", status.crossSigningVerified);
}

export async function recovery(alice, bob) {
    const roomId = await meeting({ name: "Memories", initial_state: [encryption] }, alice, bob);
    const { event_id: old } = await bob.sendTextMessage(roomId, "before the second device");
    await reads(alice, roomId, old);
    const crypto = alice.getCrypto();
    const key = await crypto.createRecoveryKeyFromPassphrase("a passphrase of alice");
    await crypto.bootstrapSecretStorage({ createSecretStorageKey: async () => key, setupNewKeyBackup: true });
    await sees("the secret storage holds alice's keys", () => crypto.isSecretStorageReady());
    check("a key backup exists and is trusted", (await crypto.isKeyBackupTrusted(await crypto.getKeyBackupInfo())).trusted);
    const { session_id: session } = (await alice.fetchRoomEvent(roomId, old)).content;
    const path = `/room_keys/keys/${encodeURIComponent(roomId)}/${encodeURIComponent(session)}`;
    const version = await crypto.getActiveSessionBackupVersion();
    const stored = () => alice.http.authedRequest("GET", path, { version }).then((entry) => entry.session_data, () => null);
    await sees("the key of bob's message is in it", stored);
    check("which is counted", (await alice.http.authedRequest("GET", `/room_keys/version/${version}`)).count >= 1);

    const second = await started(client(await login(alice.getUserId()), { ...alice.secrets }));
    const hers = second.getCrypto();
    const past = await heard(second, roomId, old);
    await sees("the second device cannot read it", () => past.isDecryptionFailure());
    await sees("it knows that alice has an identity", () => hers.userHasCrossSigningKeys(alice.getUserId(), true));
    await hers.bootstrapCrossSigning({});
    await sees("until it takes alice's keys from the secret storage", () => hers.isCrossSigningReady());
    await hers.loadSessionBackupPrivateKeyFromSecretStorage();
    await hers.checkKeyBackupAndEnable();
    const restored = await hers.restoreKeyBackup();
    check("all keys of the backup are restored", restored.imported >= 1 && restored.imported === restored.total);
    await sees("then it reads the message", () => legible(past) && past.getContent().body === "before the second device");
    const trusts = async (deviceId) => {
        await bob.getCrypto().getUserDeviceInfo([alice.getUserId()], true);
        return (await bob.getCrypto().getDeviceVerificationStatus(alice.getUserId(), deviceId))?.signedByOwner;
    };
    await sees("bob sees that alice signed it", () => trusts(second.getDeviceId()));
    const { event_id: now } = await bob.sendTextMessage(roomId, "to both devices");
    same("it gets new keys too", (await reads(second, roomId, now)).getContent().body, "to both devices");
    await removal(alice, bob, second);
    await third(alice, roomId, now);
}

async function removal(alice, bob, second) {
    const deviceId = second.getDeviceId();
    second.stopClient();
    await authenticated(alice.getUserId(), (auth) => alice.deleteDevice(deviceId, auth ?? undefined));
    const devices = async () => (await bob.getCrypto().getUserDeviceInfo([alice.getUserId()])).get(alice.getUserId());
    await sees("bob sees the second device go", async () => !(await devices()).has(deviceId));
    await refused("it is logged out", "M_UNKNOWN_TOKEN", second.whoami());
}

async function third(alice, roomId, eventId) {
    const device = await started(client(await login(alice.getUserId())));
    await until("alice knows her device", async () => {
        const devices = await alice.getCrypto().getUserDeviceInfo([alice.getUserId()]);
        return devices.get(alice.getUserId()).has(device.getDeviceId());
    });
    await device.getCrypto().getUserDeviceInfo([alice.getUserId()], true);
    const coming = comes(alice);
    const request = await device.getCrypto().requestOwnUserVerification();
    const incoming = await coming;
    check("a third device asks the first to verify it", incoming.isSelfVerification);
    await compare(device, alice, request, incoming);
    await sees("and is given alice's keys by it", () => device.getCrypto().isCrossSigningReady());
    await sees("with that of the backup", () => device.getCrypto().getSessionBackupPrivateKey());
    await device.getCrypto().checkKeyBackupAndEnable();
    await device.getCrypto().restoreKeyBackup();
    same("from which it reads", (await reads(device, roomId, eventId)).getContent().body, "to both devices");
    const keys = JSON.parse(await device.getCrypto().exportRoomKeysAsJson());
    check("it can export what it knows", keys.some((entry) => entry.room_id === roomId));
    const version = async () => (await device.http.authedRequest("GET", "/room_keys/version")).version;
    const before = await version();
    await alice.getCrypto().resetKeyBackup();
    check("a new backup takes the place of the old", (await version()) !== before);
    device.stopClient();
    await device.logout();
}
