// Two people at matrix-js-sdk do all that its clients do; each sees what the other did. Usage: node talk.mjs BASE_URL
import { end, registered, scene, started } from "./people.mjs";
import * as accounts from "./scenes/accounts.mjs";
import * as personal from "./scenes/personal.mjs";
import * as rooms from "./scenes/rooms.mjs";
import * as talking from "./scenes/talking.mjs";
import * as trust from "./scenes/trust.mjs";

const alice = await registered("alice-js");
const bob = await registered("bob-js");
await Promise.all([started(alice), started(bob)]);

const scenes = [
    [accounts.accounts, accounts.service],
    [rooms.presets, rooms.members, rooms.addresses, rooms.knocking, rooms.spaces, rooms.upgrades, rooms.peeking],
    [talking.messages, talking.changes, talking.threads, talking.attention, talking.history],
    [personal.data, personal.profiles, personal.pushes, personal.filters],
    [trust.secrecy, trust.identity, trust.verification, trust.recovery],
].flat();
for (const play of scenes) await scene(play.name, () => play(alice, bob));
end(alice, bob);
