"""What encrypted bridges are told: messages to devices (MSC4203), whose devices have changed, what keys are left (MSC3202)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from orjson import Fragment

from services.appservices.pending import News
from services.appservices.registry import Appservice
from services.keys.upload import UPLOADED_BY_ALL
from services.tenant import Tenant
from storage.appservices import Mail, devices_of, mail_for
from storage.database import Tx
from storage.keys.device_lists import device_list_changes
from storage.keys.fallback_keys import unused_fallback_key_types
from storage.keys.one_time_keys import one_time_key_counts
from storage.sync_user_data import sharing_rooms

MAX_MAIL = 100

# Bridges read the name that the proposal has for the end, or the one that it has meanwhile; both are sent.
_MAIL = ("to_device", "de.sorunome.msc2409.to_device")
_LISTS = ("device_lists", "org.matrix.msc3202.device_lists")
_COUNTS = ("device_one_time_keys_count", "org.matrix.msc3202.device_one_time_keys_count")
_UNUSED = ("device_unused_fallback_key_types", "org.matrix.msc3202.device_unused_fallback_key_types")

ByDevice = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Encrypted:
    """What goes into a transaction: its members, whose mail is in it and up to where, and whose there is more of."""

    members: Mapping[str, Any] = field(default_factory=dict)
    mail: Mail = ()
    more: bool = False
    is_something: bool = False


async def encrypted(tenant: Tenant, appservice: Appservice, news: News, after: int, upto: int) -> Encrypted:
    """What there is in positions up to `upto`; of device lists, what has changed since `after` where nobody knows better."""
    if not appservice.is_encrypted:
        return Encrypted()
    everybody = news.is_everything
    mail: list[Any] = []
    changed: set[str] = set()
    left: set[str] = set()
    counts: ByDevice = {}
    unused: ByDevice = {}
    async with tenant.database.read() as tx:
        if everybody or news.all_mail or news.mail:
            users = None if everybody or news.all_mail else news.mail
            mail = await mail_for(tx, appservice.id, upto, MAX_MAIL, users)
        if everybody or news.lists_after is not None:
            since = after if everybody or news.lists_after is None else news.lists_after
            changed, left = await _device_lists(tx, appservice, since, upto)
        concerned = None if everybody else news.users | {row["user_id"] for row in mail}
        if concerned is None or concerned:
            counts, unused = await _keys(tx, appservice, concerned)
    places: dict[tuple[str, str], int] = {(row["user_id"], row["device_id"]): row["position"] for row in mail}
    told = {"changed": sorted(changed), "left": sorted(left - changed)}
    members: dict[str, Any] = {}
    for names, value in zip(
        (_MAIL, _LISTS, _COUNTS, _UNUSED), (list(map(_message, mail)), told, counts, unused), strict=True
    ):
        members |= dict.fromkeys(names, value)
    return Encrypted(
        members,
        tuple((*place, position) for place, position in places.items()),
        more=len(mail) == MAX_MAIL,
        is_something=bool(mail or changed or left or counts),
    )


def _message(row: Any) -> Fragment:
    """The event as /sync has it, with whom it is for."""
    whom = orjson.dumps({"to_user_id": row["user_id"], "to_device_id": row["device_id"]})
    return Fragment(row["json"][:-1] + b"," + whom[1:])


async def _device_lists(tx: Tx, appservice: Appservice, after: int, upto: int) -> tuple[set[str], set[str]]:
    """For those users of the application service who have devices, as /sync tells them."""
    changed: set[str] = set()
    left: set[str] = set()
    users = {user_id for user_id, _ in await devices_of(tx, appservice.id)}
    for user_id in users:
        one_changed, one_left = await device_list_changes(tx, user_id, after, upto)
        changed.update(one_changed)
        left.update(one_left)
    # Of whom one of its users sees no more, another one may still see something.
    for user_id in users if left and len(users) > 1 else ():
        left -= await sharing_rooms(tx, user_id, left)
    return changed, left


async def _keys(tx: Tx, appservice: Appservice, users: Collection[str] | None) -> tuple[ByDevice, ByDevice]:
    counts: ByDevice = {}
    unused: ByDevice = {}
    for user_id, device_id in await devices_of(tx, appservice.id, users):
        found = await one_time_key_counts(tx, user_id, device_id)
        counts.setdefault(user_id, {})[device_id] = {UPLOADED_BY_ALL: 0} | found
        unused.setdefault(user_id, {})[device_id] = await unused_fallback_key_types(tx, user_id, device_id)
    return counts, unused
