"""A person who reads mail, and follows the links in it."""

from __future__ import annotations

from typing import Any

from tests.fixtures.client import Client
from tests.fixtures.mail import MailServer

SECRET = "monkeys_are_GREAT"
ADDRESS = "alice@example.org"


async def asks(client: Client, path: str, address: str = ADDRESS, **more: Any) -> tuple[int, Any]:
    """Asks for a mail; `path` is what stands before /email/requestToken."""
    body = {"email": address, "client_secret": SECRET, "send_attempt": 1} | more
    return await client.post(f"{path}/email/requestToken", body)


async def shows(client: Client, server: MailServer, path: str, address: str = ADDRESS) -> dict[str, str]:
    """Asks for a mail and follows its link; what shows the address from now on."""
    status, said = await asks(client, path, address)
    assert status == 200, said
    await follows(client, (await server.next()).link)
    return {"sid": said["sid"], "client_secret": SECRET}


async def follows(client: Client, link: str) -> str:
    """Presses the button on the page that the link leads to; what the page says then."""
    status, page = await client.get(link)
    assert (status, b"<form" in page) == (200, True), page
    status, page = await client.request("POST", link, data={}, allow_redirects=False)
    assert status == 200, page
    return str(page.decode())
