"""Alice's account: made on a form, shown to others, left and entered again."""

from __future__ import annotations

from urllib.parse import quote

from aiohttp import ClientSession

from tests.fixtures.client import Client, Unexpected
from tests.fixtures.live import LiveServer
from tests.peers.chromium import Tab
from tests.peers.cinny.scene import SAID, Scene, link
from tests.peers.onpage import Checks, button, picture, press, red_picture, says
from tests.peers.peer import PASSWORD

_PENCIL = "document.querySelector('.profile-editor__info button')"

# To and fro, for the client loads more only when its top comes in sight, not when it stays there.
_UPWARDS = (
    "let box = document.querySelector('[data-message-id]'); "
    "while (box && box.scrollHeight <= box.clientHeight + 1) box = box.parentElement; "
    "window.turn = !window.turn; "
    "if (box) box.scrollTop = window.turn ? 0 : 400"
)


async def registers(checks: Checks, tab: Tab, session: ClientSession, server: LiveServer) -> Client:
    """Alice, at another device than the page's, on which she made her account."""
    await press(tab, "one can register", link("Register"))
    await checks.seen("a form to register", tab, "document.querySelector('input[name=confirmPasswordInput]')")
    await tab.type("input[name=usernameInput]", "alice")
    await tab.type("input[name=passwordInput]", PASSWORD)
    await tab.type("input[name=confirmPasswordInput]", PASSWORD)
    await press(tab, "the form can be sent", button("Register"))
    await checks.seen(
        "the first sync is done", tab, f"{says('body', 'Welcome to Cinny')} && {button('Create Room')}"
    )
    at = Client(session, server.url, f"@alice:{server.name}", password=PASSWORD)
    return await at.log_in()


async def has_a_profile(scene: Scene) -> None:
    """Display name and avatar."""
    tab, carol, name = scene.tab, scene.carol, quote(scene.alice.user_id)
    await scene.goes("home/")
    await scene.settings()
    await press(tab, "the name can be changed", _PENCIL)
    await tab.type(".profile-editor__form input", "Alice Liddell")
    await scene.presses("Save")

    async def renamed() -> bool:
        return (await _profile(carol, name)).get("displayname") == "Alice Liddell"

    await scene.told("alice's name", renamed)
    file = scene.server.folder / "face.png"
    file.write_bytes(red_picture(96, 96))
    async with tab.choosing(file):
        await press(tab, "a picture can be chosen", "document.querySelector('.profile-editor .img-upload')")

    async def pictured() -> bool:
        return (await _profile(carol, name)).get("avatar_url", "").startswith("mxc://")

    await scene.told("alice's face", pictured)
    await scene.opens(scene.room_id)
    drawn = "[...document.querySelectorAll('img')].find((one) => one.src.includes('thumbnail') && one.naturalWidth)"
    await scene.seen("her thumbnail, beside her messages", drawn)
    await scene.seen("and her name", says(SAID, "Alice Liddell"))
    await picture(tab, "cinny-profile")


async def _profile(client: Client, user_id: str) -> dict[str, str]:
    try:
        profile: dict[str, str] = await client.ok("GET", f"profile/{user_id}")
    except Unexpected:
        return {}
    return profile


async def sees_devices(scene: Scene) -> None:
    """The list of devices in the settings."""
    await scene.goes("home/")
    await scene.settings()
    await scene.presses("Security")
    await scene.seen("her devices", says("body", scene.alice.device_id))


async def logs_out_and_in(scene: Scene) -> None:
    """By the button, and by password."""
    tab, alice = scene.tab, scene.alice
    before = len((await alice.ok("GET", "devices"))["devices"])
    await scene.goes("home/")
    await scene.settings()
    await scene.presses("Logout")
    sure = "[...document.querySelectorAll('.confirm-dialog button')]"
    await press(tab, "sure", f"{sure}.find((one) => one.innerText.trim() === 'Logout')")
    await scene.seen("the login page", "document.querySelector('input[name=usernameInput]')")

    async def gone() -> bool:
        return len((await alice.ok("GET", "devices"))["devices"]) == before - 1

    await scene.told_to(alice, "her device is gone", gone)
    await tab.type("input[name=usernameInput]", "alice")
    await tab.type("input[name=passwordInput]", "wrong")
    await tab.press("Enter")
    await scene.seen("a wrong password is told", says("body", "Invalid Username or Password"))
    await tab.type("input[name=passwordInput]", PASSWORD)
    await tab.press("Enter")
    await scene.seen("the right one opens", link("Garden"))
    await scene.opens(scene.room_id)
    await scene.seen("what was said is there", says(SAID, "see you"))
    early = f"(() => {{ {_UPWARDS}; return {says(SAID, 'hello from carol')}; }})()"
    await scene.checks.seen("and what was said long ago, on the way up", tab, early)
