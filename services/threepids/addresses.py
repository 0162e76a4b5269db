"""Addresses in their canonical form (Appendices, «3PID Types»), so that one address has one spelling."""

from __future__ import annotations

import re
from typing import Final

from protocol.matrix_error import InvalidParam, ThreepidMediumNotSupported

EMAIL: Final = "email"
MSISDN: Final = "msisdn"

MAX_EMAIL, MAX_LOCAL, MAX_DOMAIN = 254, 64, 253  # bytes (RFC 5321)
# What needs quotes in a mail's header is in no address that anybody has, and in some that somebody attacks with.
_LOCAL = re.compile(r"[^\s\x00-\x20\x7f-\x9f@<>()\[\],;:\\\"\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?")
_PHONE = re.compile(r"[1-9][0-9]{3,14}")


def canonical(medium: str, address: str) -> str:
    """The address as it is kept; raises InvalidParam, or ThreepidMediumNotSupported."""
    if medium == EMAIL:
        return canonical_email(address)
    if medium == MSISDN:
        if not _PHONE.fullmatch(address):
            raise InvalidParam("This is not a phone number")
        return address
    raise ThreepidMediumNotSupported


def canonical_email(address: str) -> str:
    """The local part case-folded, the domain in the form that the DNS has; raises InvalidParam.

    «homeservers and identity servers must also apply the Unicode case-folding algorithm». Mails go to this form only,
    so that nobody is sent another's because the two are alike.
    """
    local, _, domain = address.strip().rpartition("@")
    local = local.casefold()
    try:
        domain = domain.lower().encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise InvalidParam("This is not an e-mail address") from None
    is_name = len(domain) <= MAX_DOMAIN and all(_LABEL.fullmatch(label) for label in domain.split("."))
    if not is_name or not _LOCAL.fullmatch(local) or ".." in local or local[0] == "." or local[-1] == ".":
        raise InvalidParam("This is not an e-mail address")
    found = f"{local}@{domain}"
    try:
        too_long = len(local.encode()) > MAX_LOCAL or len(found.encode()) > MAX_EMAIL
    except UnicodeEncodeError:  # half of a surrogate pair
        raise InvalidParam("This is not an e-mail address") from None
    if too_long:
        raise InvalidParam("The e-mail address is too long")
    return found


def domain_of(email: str) -> str:
    """What stands after the @ of a canonical address."""
    return email.rpartition("@")[2]
