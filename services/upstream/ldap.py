"""Passwords that a directory knows (LDAP): the person is searched for, and binds with the password.

The library blocks; it runs in threads, so many at a time and each for a bounded time.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from protocol.ids import UserID
from protocol.matrix_error import Exclusive, Forbidden, InvalidUsername, Unknown, UserInUse
from services.accounts.names import meant_user_ids
from services.outside import BAD_GATEWAY
from services.settings import SECOND
from services.tenant import Tenant
from services.upstream.arrive import arrive_unasked
from services.upstream.person import MAX_NAME, MAX_SUBJECT, Person, texts
from services.upstream.settings import LDAP, Ldap, LdapTls
from storage.upstream import links_of

AT_ONCE = 8
_PASSWORD = "userpassword"  # some directories show its hash
# Of their own: a directory that hangs must not take the threads that read files.
_threads = ThreadPoolExecutor(AT_ONCE, "directory")


class DirectoryFailed(Unknown):
    """The directory cannot be asked."""

    def __init__(self, why: str) -> None:
        super().__init__(f"The directory cannot be asked: {why}", status=BAD_GATEWAY)


async def by_directory(tenant: Tenant, name: str, password: str) -> UserID | None:
    """The user whose password it is in the directory, made at the first login; None when it is not, or there is none.

    Raises DirectoryFailed, and Forbidden where the person gets no account.
    """
    ldap = tenant.settings.upstream.ldap
    # «unauthenticated bind»: an empty password would be accepted for everybody (RFC 4513 §5.1.2).
    if ldap is None or not name or not password or "\0" in name + password or len(name) > MAX_NAME:
        return None
    search = await _search(tenant, ldap, name)
    if search is None:
        return None
    person = await asyncio.get_running_loop().run_in_executor(_threads, _bind, ldap, search, password)
    if person is None:
        return None
    try:
        return await arrive_unasked(tenant, LDAP, ldap.mapping, person)
    except (UserInUse, InvalidUsername, Exclusive) as error:
        raise Forbidden(f"You have no account here, and get none: {error.message}") from None


async def _search(tenant: Tenant, ldap: Ldap, name: str) -> str | None:
    """The filter that finds the person: by who the user is there, or by what was typed."""
    from ldap3.utils.conv import escape_filter_chars

    user_ids = meant_user_ids(tenant, name)
    async with tenant.database.read() as tx:
        subjects = [subject for provider, subject in await links_of(tx, user_ids) if provider == LDAP]
    if subjects:
        return f"({ldap.subject}={escape_filter_chars(subjects[0])})"
    if not user_ids:
        return None
    typed = name[1:].partition(":")[0] if name.startswith("@") else name
    return ldap.filter.replace("{name}", escape_filter_chars(typed))


def _bind(ldap: Ldap, search: str, password: str) -> Person | None:
    """Who has this password; None for nobody."""
    from ldap3.core.exceptions import LDAPException, LDAPInvalidCredentialsResult

    try:
        server = _server(ldap)
        with _connection(ldap, server, ldap.bind_dn, ldap.bind_password) as connection:
            entry = _entry(ldap, connection, search)
        if entry is None:
            return None
        try:
            with _connection(ldap, server, entry["dn"], password):
                return _person(ldap, entry)
        except LDAPInvalidCredentialsResult:
            return None
    except (LDAPException, OSError) as error:
        raise DirectoryFailed(type(error).__name__) from None


def _server(ldap: Ldap) -> Any:
    import ssl

    from ldap3 import NONE, Server, Tls

    tls = Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=None if ldap.ca_file is None else str(ldap.ca_file))
    return Server(ldap.url, get_info=NONE, tls=tls, connect_timeout=ldap.timeout / SECOND)


def _connection(ldap: Ldap, server: Any, user: str | None, password: str | None) -> Any:
    """Bound as the user (nobody in particular for None); raises LDAPException."""
    from ldap3 import AUTO_BIND_NO_TLS, AUTO_BIND_TLS_BEFORE_BIND, Connection

    with_tls = ldap.tls is LdapTls.STARTTLS and not ldap.url.startswith("ldaps:")
    return Connection(
        server,
        user,
        password,
        auto_bind=AUTO_BIND_TLS_BEFORE_BIND if with_tls else AUTO_BIND_NO_TLS,
        auto_referrals=False,
        read_only=True,
        raise_exceptions=True,
        receive_timeout=max(1, ldap.timeout // SECOND),
    )


def _entry(ldap: Ldap, connection: Any, search: str) -> Any:
    """The one entry that is found; none for several: a name must be somebody's."""
    from ldap3 import ALL_ATTRIBUTES

    connection.search(
        ldap.base,
        search,
        attributes=[ALL_ATTRIBUTES, ldap.subject],
        size_limit=2,
        time_limit=max(1, ldap.timeout // SECOND),
    )
    entries = [found for found in connection.response if found.get("type") == "searchResEntry"]
    return entries[0] if len(entries) == 1 else None


def _person(ldap: Ldap, entry: Any) -> Person | None:
    said = {
        name: _readable(value) for name, value in entry["attributes"].items() if name.lower() != _PASSWORD
    }
    attributes = texts(said)
    subject = attributes.get(ldap.subject, "")
    if not 0 < len(subject) <= MAX_SUBJECT:
        return None
    return Person(subject, attributes, email_verified=True)


def _readable(value: Any) -> Any:
    """Texts; what the directory keeps as bytes is text in UTF-8, or nothing."""
    values = value if isinstance(value, list) else [value]
    return [one.decode("utf-8", "replace") if isinstance(one, bytes) else one for one in values]
