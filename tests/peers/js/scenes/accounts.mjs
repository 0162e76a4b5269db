// Logging in and out, devices, tokens, and what the server says of itself.
import { anybody, account, authenticated, check, client, login, password, refused, same } from "../people.mjs";

export async function accounts() {
    const carol = client(await account("carol-js"));
    const carolId = carol.getUserId();
    same("the token is carol's, at her device", await carol.whoami(), {
        user_id: carolId,
        device_id: carol.getDeviceId(),
        is_guest: false,
    });
    check("her name is taken", !(await anybody().isUsernameAvailable("carol-js")));
    check("another name is free", await anybody().isUsernameAvailable("nobody-js"));
    const { flows } = await anybody().loginFlows();
    check("one can log in with a password", flows.some(({ type }) => type === "m.login.password"));
    await refused("a wrong password is refused", "M_FORBIDDEN", login(carolId, { password: "wrong" }));

    const second = client(await login(carolId, { device_id: "SECOND", initial_device_display_name: "Kettle" }));
    const names = async () => (await carol.getDevices()).devices.map((device) => device.display_name);
    check("the second device is listed with its name", (await names()).includes("Kettle"));
    await second.setDeviceDetails("SECOND", { display_name: "Teapot" });
    same("its new name is seen", (await carol.getDevice("SECOND")).display_name, "Teapot");
    await authenticated(carolId, (auth) => carol.deleteMultipleDevices(["SECOND"], auth ?? undefined));
    await refused("a deleted device is logged out", "M_UNKNOWN_TOKEN", second.whoami());
    await refused("and is no longer there", "M_NOT_FOUND", carol.getDevice("SECOND"));

    await tokens(carol);
    await passwords(carol);
    const gone = await authenticated(carolId, (auth) => carol.deactivateAccount(auth ?? undefined), "another staple");
    check("deactivated by its owner", gone.id_server_unbind_result);
    await refused("a deactivated account is logged out", "M_UNKNOWN_TOKEN", carol.whoami());
    await refused("and cannot log in", "M_USER_DEACTIVATED", login(carolId, { password: "another staple" }));
}

async function tokens(carol) {
    const refreshing = await login(carol.getUserId(), { refresh_token: true });
    check("a token that is refreshed has an end", refreshing.expires_in_ms > 0);
    const renewed = await client(refreshing).refreshToken(refreshing.refresh_token);
    const device = client({ ...refreshing, access_token: renewed.access_token });
    same("a refreshed token is for the same device", (await device.whoami()).device_id, refreshing.device_id);
    await device.logout();
    await refused("after logging out the token is void", "M_UNKNOWN_TOKEN", device.whoami());

    const { login_token: token } = await authenticated(carol.getUserId(), (auth) => carol.requestLoginToken(auth ?? undefined));
    const passedOn = await anybody().loginWithToken(token);
    same("a session is passed on by a token", passedOn.user_id, carol.getUserId());
    await refused("which is good for once", "M_FORBIDDEN", anybody().loginWithToken(token));
}

async function passwords(carol) {
    await authenticated(carol.getUserId(), (auth) => carol.setPassword(auth, "another staple", false));
    check("a changed password keeps the session", await carol.whoami());
    await refused("the old password is void", "M_FORBIDDEN", login(carol.getUserId(), { password }));
    check("the new one is good", await login(carol.getUserId(), { password: "another staple" }));
    await authenticated(carol.getUserId(), (auth) => carol.setPassword(auth, password, false), "another staple");
    await authenticated(carol.getUserId(), (auth) => carol.setPassword(auth, "another staple", true));
    same("the other devices can be logged out with it", (await carol.getDevices()).devices.length, 1);
}

export async function service(alice) {
    check("the server is of today", await alice.isVersionSupported("v1.11"));
    const capabilities = await alice.getCapabilities();
    check("its newest stable room version is said", capabilities["m.room_versions"].available["12"] === "stable");
    check("threads are aggregated by the server", (await alice.doesServerSupportThread()).threads !== 0);
    check("profiles are extended", await alice.doesServerSupportExtendedProfiles());
    const token = await alice.getOpenIdToken();
    same("an OpenID token names the server", token.matrix_server_name, alice.getDomain());
    check("files have a size limit", (await alice.getMediaConfig(true))["m.upload.size"] > 1_000_000);
    same("no bridges are here", await alice.getThirdpartyProtocols(), {});
    check("alice is no administrator", !(await alice.isSynapseAdministrator().catch(() => false)));
}
