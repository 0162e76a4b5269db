"""Two people at matrix-nio show themselves and set their accounts: profiles, presence, files, push rules, devices, logins."""

from __future__ import annotations

import io

import nio
from PIL import Image

from tests.peers.nio_person import PASSWORD, Person, logged_in


async def settle(url: str, alice: Person, bob: Person) -> None:
    """Everything, in order; at its end alice is logged in anew."""
    await _profiles(alice, bob)
    await _files(alice, bob)
    await _push_rules(alice, bob)
    await _what_is_said(alice)
    await _devices(url, alice)


async def _profiles(alice: Person, bob: Person) -> None:
    checks = alice.checks
    room_id = await alice.makes(bob, name="Faces")
    shown = lambda: bob.room(room_id).users[alice.user_id]
    named = alice.client.set_displayname("Alice Liddell")
    await checks.told("alice takes a name", nio.ProfileSetDisplayNameResponse, named)
    await bob.sees("bob sees it in the room", lambda: shown().display_name == "Alice Liddell")
    drawn = alice.client.set_avatar("mxc://example.org/a")
    await checks.told("and a picture", nio.ProfileSetAvatarResponse, drawn)
    await bob.sees("bob sees that too", lambda: shown().avatar_url == "mxc://example.org/a")
    asked = bob.client.get_profile(alice.user_id)
    profile = await checks.told("he asks for her profile", nio.ProfileGetResponse, asked)
    both = (profile.displayname, profile.avatar_url)
    checks.same("which has both", both, ("Alice Liddell", "mxc://example.org/a"))
    name = await bob.client.get_displayname(alice.user_id)
    picture = await bob.client.get_avatar(alice.user_id)
    checks.same("each also alone", (name.displayname, picture.avatar_url), both)
    nobody = alice.user_id.replace("alice", "nobody")
    await checks.refused("nobody has none", "M_NOT_FOUND", bob.client.get_profile(nobody))
    away = alice.client.set_presence("unavailable", "making tea")
    await checks.told("alice is away", nio.PresenceSetResponse, away)
    seen = lambda: [
        event
        for event in bob.presence
        if (event.user_id, event.presence, event.status_msg) == (alice.user_id, "unavailable", "making tea")
    ]
    await bob.sees("bob sees it, and why", seen)
    status = await bob.client.get_presence(alice.user_id)
    checks.same("the server says so too", status.status_msg, "making tea")


async def _files(alice: Person, bob: Person) -> None:
    checks = alice.checks
    uploaded, _ = await alice.client.upload(
        io.BytesIO(b"a small file"), "text/plain", "small.txt", filesize=12
    )
    checks.check("alice uploads a file", isinstance(uploaded, nio.UploadResponse), uploaded)
    asked = bob.client.download(uploaded.content_uri)
    downloaded = await checks.told("bob downloads it", nio.MemoryDownloadResponse, asked)
    file = (downloaded.body, downloaded.content_type, downloaded.filename)
    checks.same("as it was", file, (b"a small file", "text/plain", "small.txt"))
    picture = io.BytesIO()
    Image.new("RGB", (640, 480), "green").save(picture, "PNG")
    size = picture.tell()
    picture.seek(0)
    uploaded, _ = await alice.client.upload(picture, "image/png", "green.png", filesize=size)
    server, media = uploaded.content_uri.removeprefix("mxc://").split("/")
    asked = bob.client.thumbnail(server, media, 32, 32)
    thumbnail = await checks.told("and a small picture of one", nio.ThumbnailResponse, asked)
    checks.same("which is smaller", Image.open(io.BytesIO(thumbnail.body)).size, (320, 240))
    gone = await bob.client.download(f"mxc://{server}/nothing")
    checks.same("what is not there is not found", getattr(gone, "status_code", gone), "M_NOT_FOUND")
    asked = alice.client.content_repository_config()
    limits = await checks.told("the size has a limit", nio.ContentRepositoryConfigResponse, asked)
    checks.check("that is said", limits.upload_size > 1_000_000)


async def _push_rules(alice: Person, bob: Person) -> None:
    checks, kind = alice.checks, nio.PushRuleKind.content
    room_id = await alice.makes(bob, name="Noise")
    rules = lambda: next(
        [rule for rule in event.global_rules.content if rule.id == "biscuit"]
        for event in reversed(bob.account_data)
        if isinstance(event, nio.PushRulesEvent)
    )
    actions = [nio.PushNotify(), nio.PushSetTweak("highlight")]
    put = bob.client.set_pushrule("global", kind, "biscuit", actions=actions, pattern="biscuit")
    await checks.told("bob makes a push rule", nio.SetPushRuleResponse, put)
    await bob.sees("which comes through sync", rules)
    await alice.says(room_id, "a biscuit?")
    await bob.sees("and lets a word call him", lambda: bob.room(room_id).unread_highlights == 1)
    off = bob.client.enable_pushrule("global", kind, "biscuit", False)
    await checks.told("he turns it off", nio.EnablePushRuleResponse, off)
    await bob.sees("it is off", lambda: not rules()[0].enabled)
    put = bob.client.set_pushrule_actions("global", kind, "biscuit", [nio.PushNotify()])
    await checks.told("he changes what it does", nio.SetPushRuleActionsResponse, put)
    await bob.sees("it does that", lambda: len(rules()[0].actions) == 1)
    gone = bob.client.delete_pushrule("global", kind, "biscuit")
    await checks.told("he deletes it", nio.DeletePushRuleResponse, gone)
    await bob.sees("it is gone", lambda: not rules())


async def _what_is_said(alice: Person) -> None:
    checks = alice.checks
    who = await checks.told("the server knows alice", nio.WhoamiResponse, alice.client.whoami())
    checks.same("and her device", (who.user_id, who.device_id), (alice.user_id, alice.device_id))
    flows = await checks.told("says how to log in", nio.LoginInfoResponse, alice.client.login_info())
    checks.check("with a password", "m.login.password" in flows.flows)
    asked = alice.client.get_openid_token(alice.user_id)
    token = await checks.told("vouches for her", nio.GetOpenIDTokenResponse, asked)
    checks.same("by its name", token.matrix_server_name, alice.user_id.partition(":")[2])
    limit = {"timeline": {"limit": 1}}
    asked = alice.client.upload_filter(room=limit)
    kept = await checks.told("keeps a filter", nio.UploadFilterResponse, asked)
    room_id = await alice.makes(name="Filtered")
    for body in ("one", "two"):
        last = await alice.says(room_id, body)
    filtered = await alice.client.sync(sync_filter=kept.filter_id)
    timeline = filtered.rooms.join[room_id].timeline
    followed = ([event.event_id for event in timeline.events], timeline.limited)
    checks.same("and follows it", followed, ([last], True))


async def _devices(url: str, alice: Person) -> None:
    checks, client = alice.checks, alice.client
    second = await logged_in(url, "alice", checks)
    renamed = client.update_device(alice.device_id, {"display_name": "Kettle"})
    await checks.told("alice names a device", nio.UpdateDeviceResponse, renamed)
    devices = await checks.told("and lists them", nio.DevicesResponse, second.client.devices())
    names = {device.id: device.display_name for device in devices.devices}
    checks.same("all", names, {alice.device_id: "Kettle", second.device_id: "alice's next"})
    asked = client.delete_devices([second.device_id])
    stages = await checks.told("to delete one, she shows", nio.DeleteDevicesAuthResponse, asked)
    who = {"type": "m.id.user", "user": alice.user_id}
    auth = {"type": "m.login.password", "identifier": who, "password": PASSWORD, "session": stages.session}
    gone = client.delete_devices([second.device_id], auth)
    await checks.told("who she is", nio.DeleteDevicesResponse, gone)
    await checks.refused("it is logged out", "M_UNKNOWN_TOKEN", second.client.whoami())
    await second.client.close()
    token = client.access_token
    await checks.told("she logs out", nio.LogoutResponse, client.logout())
    client.access_token = token
    await checks.refused("her token is void", "M_UNKNOWN_TOKEN", client.whoami())
    await checks.refused("a wrong password is refused", "M_FORBIDDEN", client.login("wrong"))
    await checks.told("she logs in again", nio.LoginResponse, client.login(PASSWORD))
    await checks.told("and is known", nio.WhoamiResponse, client.whoami())
    other = nio.AsyncClient(url, "alice")
    taken = await other.register("alice", PASSWORD)
    checks.same("her name is taken", getattr(taken, "status_code", taken), "M_USER_IN_USE")
    await other.close()
