// What the conversations share: people with a client each, and checks, each of which is named, printed and counted.
import { isDeepStrictEqual, inspect } from "node:util";
import "./node20.mjs";
import * as sdk from "matrix-js-sdk";
import { logger } from "matrix-js-sdk/lib/logger.js";

logger.setLevel("silent");
for (const word of ["debug", "info", "warn", "error"]) console[word] = () => {};
export const baseUrl = process.argv[2];
export const password = "correct horse battery";
const LONG = 60_000; // milliseconds that anything may take on a busy machine
let passed = 0;
const failed = [];

// One thing that was seen to hold; when it does not, that is printed, and the conversation goes on.
export function check(what, holds, otherwise = "") {
    if (holds) return console.log(`ok ${++passed} ${what}`);
    failed.push(what);
    console.log(`not ok: ${what} ${otherwise}`);
}

export function same(what, actual, expected) {
    check(what, isDeepStrictEqual(actual, expected), `(${inspect(actual)}, not ${inspect(expected)})`);
}

// What `look` answers once that is something; a scene ends where it never is.
export async function until(what, look) {
    const end = Date.now() + LONG;
    for (;;) {
        const found = await look();
        if (found) return found;
        if (Date.now() > end) throw new Error(`never: ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 20)); // not everything is told to a listener
    }
}

// What was promised, if it comes in time.
export function within(what, promise) {
    let timer;
    const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`never: ${what}`)), LONG)));
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// What `look` answers once that is something, and counted.
export async function sees(what, look) {
    const found = await until(what, look);
    check(what, true);
    return found;
}

// The server refuses what was asked, with this error.
export async function refused(what, errcode, asked) {
    const said = await asked.then(
        () => "nothing",
        (error) => error.errcode ?? `${error}`,
    );
    same(what, said, errcode);
}

// A part of the conversation; the others are tried also when it fails.
export async function scene(name, play) {
    try {
        await play();
    } catch (error) {
        failed.push(name);
        console.log(`not ok: ${name} ended early: ${error.stack} ${error.cause ?? ""}`);
    }
}

export function end(...clients) {
    clients.forEach((client) => client.stopClient());
    console.log(failed.length ? `${failed.length} failed: ${failed.join("; ")}` : `${passed} checks; all said and done`);
    process.exit(failed.length ? 1 : 0);
}

// What `request(auth)` answers once it is authenticated with the password, where that is asked for.
export const authenticated = (userId, request, secret = password) =>
    request(null).catch((error) =>
        request({
            type: "m.login.password",
            identifier: { type: "m.id.user", user: userId },
            password: secret,
            session: error.data.session,
        }),
    );

export const anybody = () => sdk.createClient({ baseUrl });

export async function account(username) {
    const body = { username, password };
    const { session } = await anybody()
        .registerRequest(body)
        .then(
            () => ({}),
            (error) => error.data,
        );
    check(`${username} can register only after authentication`, session);
    return anybody().registerRequest({ ...body, auth: { type: "m.login.dummy", session } });
}

export const login = (username, more = {}) =>
    anybody().loginRequest({
        type: "m.login.password",
        identifier: { type: "m.id.user", user: username },
        password,
        ...more,
    });

// Who has logged in, with a place for the keys of the secret storage.
export function client({ user_id: userId, access_token: accessToken, device_id: deviceId }, secrets = {}) {
    const cryptoCallbacks = {
        getSecretStorageKey: async ({ keys }) => {
            const id = Object.keys(keys).find((name) => secrets[name]);
            return id ? [id, secrets[id]] : null;
        },
        cacheSecretStorageKey: (id, _info, key) => (secrets[id] = key),
    };
    const verificationMethods = ["m.sas.v1"];
    const options = { timelineSupport: true, logger, cryptoCallbacks, verificationMethods };
    return Object.assign(sdk.createClient({ baseUrl, userId, accessToken, deviceId, ...options }), { secrets });
}

export const registered = async (username) => client(await account(username));

export async function started(one, options = {}) {
    await one.initRustCrypto({ useIndexedDB: false });
    await one.startClient({ initialSyncLimit: 20, lazyLoadMembers: true, threadSupport: true, ...options });
    await until("the first sync", () => ["PREPARED", "SYNCING"].includes(one.getSyncState()));
    return one;
}

export const membership = (one, roomId, userId) => one.getRoom(roomId)?.getMember(userId)?.membership;

// The event, once it has come through /sync.
export const heard = (one, roomId, eventId) =>
    until(`${one.getUserId()} hears ${eventId}`, () => one.getRoom(roomId)?.findEventById(eventId));

export const state = (one, roomId, type, key = "") =>
    one.getRoom(roomId)?.currentState.getStateEvents(type, key)?.getContent();

// A reply in a thread, past the SDK, which stumbles where the first reply comes back through /sync before the request is answered.
export async function repliesInThread(one, roomId, root, body) {
    const content = { msgtype: "m.text", body, "m.relates_to": { rel_type: "m.thread", event_id: root } };
    const path = `/rooms/${encodeURIComponent(roomId)}/send/m.room.message/${one.makeTxnId()}`;
    return (await one.http.authedRequest("PUT", path, undefined, content)).event_id;
}

// A room of `one` that the others were invited to and have joined; its ID, when all see all.
export async function meeting(options, one, ...others) {
    const invite = others.map((other) => other.getUserId());
    const { room_id: roomId } = await one.createRoom({ ...options, invite });
    for (const other of others) {
        await other.joinRoom(roomId);
        await until(`${other.getUserId()} in ${roomId}`, () => other.getRoom(roomId)?.getMyMembership() === "join");
    }
    const all = [one, ...others];
    for (const reader of all) {
        for (const { credentials } of all) {
            await until(`${credentials.userId} seen`, () => membership(reader, roomId, credentials.userId) === "join");
        }
    }
    return roomId;
}
