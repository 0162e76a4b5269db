// matrix-js-sdk logs in through OAuth 2.0, by a code and as a device that waits, and passes notes by a rendezvous.
// Usage: node oauth.mjs BASE_URL
import assert from "node:assert/strict";
import * as sdk from "matrix-js-sdk";
import { OAuth2 } from "matrix-js-sdk/lib/oauth/index.js";
import { TokenRefresher } from "matrix-js-sdk/lib/oauth/tokenRefresher.js";
import { MSC4108RendezvousSession } from "matrix-js-sdk/lib/rendezvous/transports/index.js";
import { anybody, baseUrl, check, end, refused, same, scene } from "./people.mjs";

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

const metadata = await anybody().getAuthMetadata();
const clientId = await OAuth2.registerClient(metadata, {
    client_name: "Tea",
    client_uri: "https://chat.example",
    redirect_uris: [redirectUri],
    application_type: "web",
});
const oauth = new OAuth2(metadata, { clientId });
let alice;

await scene("a code", async () => {
    const state = "some state"; // a new person makes an account on the way
    await go(await oauth.generateAuthorizationCodeGrantUrl(state, redirectUri, "fragment", "create"));
    check("the server shows a page", shown.html.includes("<form"));
    await submit({ name: "alice-oauth", password: "correct horse battery", again: "correct horse battery" });
    await submit({ answer: "allow" });
    const answer = new URLSearchParams(new URL(shown.url).hash.slice(1));
    same("the client gets its state back", answer.get("state"), state);
    const tokens = await oauth.completeAuthorizationCodeGrant(answer.get("code"), redirectUri);

    const refresher = new TokenRefresher(oauth, () => {});
    alice = sdk.createClient({
        baseUrl,
        accessToken: tokens.access_token,
        refreshToken: tokens.refresh_token,
        tokenRefreshFunction: (refreshToken) => refresher.refreshTokens(refreshToken),
    });
    const who = await alice.whoami();
    same("the tokens are for the device that was asked for", who.device_id, oauth.context.deviceId);
    const renewed = await refresher.refreshTokens(tokens.refresh_token);
    alice.http.opts.accessToken = renewed.accessToken;
    same("refreshed tokens are hers too", (await alice.whoami()).user_id, who.user_id);
});

await scene("a device that waits", async () => {
    const television = new OAuth2(metadata, { clientId });
    const begun = await television.startDeviceAuthorizationGrant();
    check("a code to type is shown", begun.user_code);
    await go(begun.verification_uri_complete);
    await submit({ answer: "allow" });
    const second = await television.waitForDeviceAuthorizationGrant(begun);
    const screen = sdk.createClient({ baseUrl, accessToken: second.access_token });
    same("she let it in with her browser", (await screen.whoami()).device_id, television.context.deviceId);
    same("she sees two devices", (await alice.getDevices()).devices.length, 2);
    await television.revokeToken(second.access_token, "access_token");
    await refused("signing out is revoking", "M_UNKNOWN_TOKEN", screen.whoami());
    same("she sees one device", (await alice.getDevices()).devices.length, 1);
});

await scene("notes passed by those who know an address", async () => {
    const here = new MSC4108RendezvousSession({ client: alice });
    await here.send("knock knock");
    const there = new MSC4108RendezvousSession({ url: here.url });
    same("there hears here", await there.receive(), "knock knock");
    await there.send("who is there?");
    same("here hears there", await here.receive(), "who is there?");
    await here.close();
    clearTimeout(here.expiresTimer);
});
end();
