// matrix-js-sdk logs in through OAuth 2.0, by a code and as a device that waits, and passes notes by a rendezvous.
// Usage: node oauth.mjs BASE_URL
import assert from "node:assert/strict";
import "./node20.mjs";
import * as sdk from "matrix-js-sdk";
import { logger } from "matrix-js-sdk/lib/logger.js";
import { OAuth2 } from "matrix-js-sdk/lib/oauth/index.js";
import { TokenRefresher } from "matrix-js-sdk/lib/oauth/tokenRefresher.js";
import { MSC4108RendezvousSession } from "matrix-js-sdk/lib/rendezvous/transports/index.js";

logger.setLevel("error");
console.debug = console.info = () => {};
const baseUrl = process.argv[2];
const redirectUri = "https://chat.example/back";

// A browser without a screen: cookies, redirects, and forms filled in with what stands there.
const cookies = new Map();
let shown = { url: baseUrl, html: "" };

async function go(url, form) {
    for (;;) {
        if (!url.startsWith(baseUrl)) return (shown = { url, html: "" });
        const cookie = [...cookies].map((pair) => pair.join("=")).join("; ");
        const request = form ? { method: "POST", body: new URLSearchParams(form) } : {};
        const response = await fetch(url, { ...request, headers: { cookie }, redirect: "manual" });
        for (const said of response.headers.getSetCookie()) {
            const [name, value] = said.split(";")[0].split("=");
            cookies.set(name, value);
        }
        if (response.status !== 303) {
            assert.equal(response.status, 200, url);
            return (shown = { url, html: await response.text() });
        }
        url = new URL(response.headers.get("location"), url).href;
        form = undefined;
    }
}

const plain = (text) => text.replaceAll("&amp;", "&").replaceAll("&#39;", "'").replaceAll("&#34;", '"');

async function submit(fields) {
    const [, attributes, inside] = /<form ([^>]*)>(.*?)<\/form>/s.exec(shown.html);
    const form = {};
    for (const [, name, value] of inside.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)) {
        form[name] = plain(value);
    }
    const action = plain(/action="([^"]*)"/.exec(attributes)[1]);
    return go(new URL(action, shown.url).href, { ...form, ...fields });
}

const anybody = sdk.createClient({ baseUrl });
const metadata = await anybody.getAuthMetadata();
const clientId = await OAuth2.registerClient(metadata, {
    client_name: "Tea",
    client_uri: "https://chat.example",
    redirect_uris: [redirectUri],
    application_type: "web",
});

// A new person makes an account on the way.
const oauth = new OAuth2(metadata, { clientId });
const state = "some state";
await go(await oauth.generateAuthorizationCodeGrantUrl(state, redirectUri, "fragment", "create"));
await submit({ name: "alice-oauth", password: "correct horse battery", again: "correct horse battery" });
await submit({ answer: "allow" });
const answer = new URLSearchParams(new URL(shown.url).hash.slice(1));
assert.equal(answer.get("state"), state);
const tokens = await oauth.completeAuthorizationCodeGrant(answer.get("code"), redirectUri);

// The client refreshes its tokens by itself, and goes on.
const refresher = new TokenRefresher(oauth, () => {});
const alice = sdk.createClient({
    baseUrl,
    accessToken: tokens.access_token,
    refreshToken: tokens.refresh_token,
    tokenRefreshFunction: (refreshToken) => refresher.refreshTokens(refreshToken),
});
const who = await alice.whoami();
assert.equal(who.device_id, oauth.context.deviceId);
const renewed = await refresher.refreshTokens(tokens.refresh_token);
alice.http.opts.accessToken = renewed.accessToken;
assert.equal((await alice.whoami()).user_id, who.user_id);

// A second device waits until she says yes in her browser.
const television = new OAuth2(metadata, { clientId });
const begun = await television.startDeviceAuthorizationGrant();
await go(begun.verification_uri_complete);
await submit({ answer: "allow" });
const second = await television.waitForDeviceAuthorizationGrant(begun);
const screen = sdk.createClient({ baseUrl, accessToken: second.access_token });
assert.equal((await screen.whoami()).device_id, television.context.deviceId);
assert.equal((await alice.getDevices()).devices.length, 2);

// Signing out is revoking.
await television.revokeToken(second.access_token, "access_token");
await assert.rejects(screen.whoami(), (error) => error.errcode === "M_UNKNOWN_TOKEN");
assert.equal((await alice.getDevices()).devices.length, 1);

// Two devices that know an address pass notes.
const here = new MSC4108RendezvousSession({ client: alice });
await here.send("knock knock");
const there = new MSC4108RendezvousSession({ url: here.url });
assert.equal(await there.receive(), "knock knock");
await there.send("who is there?");
assert.equal(await here.receive(), "who is there?");
await here.close();
clearTimeout(here.expiresTimer);

console.log("all said and done");
process.exit(0);
