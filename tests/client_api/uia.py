"""A person who is asked for the password again."""

from typing import Any

from tests.fixtures.client import Answer, Client


def by_password(client: Client, session: str, password: str | None = None) -> dict[str, Any]:
    """What passes the password stage."""
    identifier = {"type": "m.id.user", "user": client.user_id}
    return {
        "type": "m.login.password",
        "identifier": identifier,
        "password": password or client.password,
        "session": session,
    }


async def confirmed(client: Client, method: str, path: str, body: dict[str, Any] | None = None) -> Answer:
    """The answer of an endpoint that must first ask for the password."""
    status, said = await client.request(method, path, json=body or {})
    assert (status, said["flows"]) == (401, [{"stages": ["m.login.password"]}])
    auth = by_password(client, said["session"])
    return await client.request(method, path, json={**(body or {}), "auth": auth})
