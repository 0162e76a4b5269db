"""Two people in an encrypted room: what one does there, the other sees."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tests.peers.rust_sdk.person import Person, View, body_of, checked, id_of, kind_of, message_of
from tests.peers.rust_sdk.sdk import base, ffi, ui


def is_ready(embedded: Any) -> bool:
    """Whether the SDK has what is embedded (the event replied to, a thread's latest)."""
    return bool(embedded.is_ready())


async def meet(alice: Person, bob: Person) -> str:
    """An encrypted room that Bob was invited to; its ID."""
    room_id = await alice.client.create_room(
        ffi.CreateRoomParameters(
            name="Tea",
            topic="and biscuits",
            is_encrypted=True,
            is_direct=True,
            visibility=ffi.RoomVisibility.PRIVATE(),
            preset=ffi.RoomPreset.TRUSTED_PRIVATE_CHAT,
            invite=[bob.user_id],
        )
    )
    invited = await bob.room(room_id)
    checked("bob is invited", invited.membership() == ffi.Membership.INVITED)
    await bob.pulse.until("by alice", lambda: _invited_by(invited, alice))
    await bob.pulse.until("the invitation tells the room's name", lambda: invited.display_name() == "Tea")
    await invited.join()
    room = await bob.room(room_id)
    await bob.pulse.until("bob has joined", lambda: room.membership() == ffi.Membership.JOINED)
    await bob.pulse.until("bob knows the topic", lambda: room.topic() == "and biscuits")
    state = await room.latest_encryption_state()
    checked("the room is encrypted", state == base.EncryptionState.ENCRYPTED)
    theirs = await alice.room(room_id)
    await alice.pulse.until("alice sees two members", lambda: theirs.joined_members_count() == 2)
    await alice.pulse.until("for alice the room is a direct chat", theirs.is_direct)
    return str(room_id)


async def _invited_by(room: Any, person: Person) -> bool:
    try:
        inviter = await room.inviter()
    except ffi.ClientError:  # the SDK shows the room a little before it knows more about it
        return False
    return inviter is not None and bool(inviter.user_id == person.user_id)


async def talk(alice: View, bob: View, room_id: str) -> None:
    """Messages, edits, reactions, replies, redactions, polls."""
    helo = await alice.says("helo")
    await bob.hears("helo")
    stored = await bob.person.from_server(f"rooms/{quote(room_id)}/event/{quote(helo)}")
    checked("the server has it encrypted", stored["type"] == "m.room.encrypted")
    edited = ffi.EditedContent.ROOM_MESSAGE(ffi.message_event_content_from_markdown("hello"))
    await alice.timeline.edit(ffi.EventOrTransactionId.EVENT_ID(helo), edited)
    await bob.sees("the edit", helo, lambda event: body_of(event) == "hello" and message_of(event).is_edited)

    await bob.timeline.toggle_reaction(ffi.EventOrTransactionId.EVENT_ID(helo), "👋")
    by_bob = lambda event: [r for r in event.content.content.reactions if r.key == "👋" and r.senders]
    reactions = await alice.sees("the reaction", helo, by_bob)
    checked("the reaction is bob's", reactions[0].senders[0].sender_id == bob.person.user_id)
    await bob.timeline.toggle_reaction(ffi.EventOrTransactionId.EVENT_ID(helo), "👋")
    await alice.sees("the reaction taken back", helo, lambda event: not by_bob(event))

    await bob.timeline.send_reply(ffi.message_event_content_from_markdown("hello yourself"), helo)
    reply = await alice.hears("hello yourself")
    details = reply.content.content.in_reply_to
    checked("it is a reply to the first", details is not None and details.event_id() == helo)
    checked(
        "with what it replies to",
        is_ready(details.event()) and details.event().sender == alice.person.user_id,
    )

    oops = await bob.says("oops")
    await alice.hears("oops")
    await bob.timeline.redact_event(ffi.EventOrTransactionId.EVENT_ID(oops), "wrong window")
    await alice.sees("the redaction", oops, lambda event: kind_of(event).is_redacted())
    await vote(alice, bob)


async def vote(alice: View, bob: View) -> None:
    """A poll, a vote, its end."""
    await alice.timeline.create_poll("Milk?", ["yes", "no"], 1, ffi.PollKind.DISCLOSED)
    poll_of = lambda event: kind_of(event) is not None and kind_of(event).is_poll() and id_of(event)
    polled = lambda: next((event for event in bob.events if poll_of(event)), None)
    poll = await bob.person.pulse.until("bob sees a poll", polled)
    poll_id, answers = id_of(poll), kind_of(poll).answers
    checked("with two answers", [answer.text for answer in answers] == ["yes", "no"])
    await bob.timeline.send_poll_response(poll_id, [answers[0].id])
    voted = lambda event: kind_of(event).votes.get(answers[0].id) == [bob.person.user_id]
    await alice.sees("bob's vote", str(poll_id), voted)
    await alice.timeline.end_poll(str(poll_id), "done")
    await bob.sees("the end of the poll", str(poll_id), lambda event: kind_of(event).end_time is not None)


class Typists:
    """Who is typing, as the SDK tells."""

    def __init__(self, person: Person) -> None:
        self.now: list[str] = []
        self._person = person

    def call(self, typing_user_ids: list[str]) -> None:
        """The SDK's listener."""
        self.now = typing_user_ids
        self._person.pulse.beat()


async def attend(alice: View, bob: View, room_id: str) -> None:
    """Typing, receipts and unread counts."""
    ours, theirs = await alice.person.room(room_id), await bob.person.room(room_id)
    typists = Typists(alice.person)
    kept = ours.subscribe_to_typing_notifications(typists)
    await theirs.typing_notice(True)
    await alice.person.pulse.until("alice sees bob typing", lambda: typists.now == [bob.person.user_id])
    await theirs.typing_notice(False)
    await alice.person.pulse.until("and stopping", lambda: typists.now == [])
    kept.cancel()

    async def unread() -> int:
        return int((await ours.room_info()).num_unread_messages)

    await alice.timeline.mark_as_read(ffi.ReceiptType.READ)
    await alice.person.pulse.until("alice has read all", lambda: _is(unread, 0))
    last = [await bob.says(f"unread {number}") for number in range(3)][-1]
    await alice.hears("unread 2")
    await alice.person.pulse.until("alice has three unread messages", lambda: _is(unread, 3))
    info = await ours.room_info()
    checked("the SDK counts three notifications", info.num_unread_notifications == 3)
    mention = ffi.message_event_content_from_markdown("alice!").with_mentions(
        ffi.Mentions(user_ids=[alice.person.user_id], room=False)
    )
    await bob.timeline.send(mention)
    await alice.hears("alice!")

    async def mentioned() -> bool:
        return bool((await ours.room_info()).num_unread_mentions == 1)

    await alice.person.pulse.until("alice is mentioned once", mentioned)
    await alice.timeline.mark_as_read(ffi.ReceiptType.READ)
    await alice.person.pulse.until("nothing is unread after the receipt", lambda: _is(unread, 0))
    seen = lambda: any(alice.person.user_id in event.read_receipts for event in bob.events[-1:])
    await bob.person.pulse.until("bob sees how far alice has read", seen)
    await ours.mark_as_fully_read_unchecked(last)

    async def fully_read() -> bool:
        return bool((await ours.room_info()).fully_read_event_id == last)

    await alice.person.pulse.until("the fully read marker is where it was put", fully_read)
    await ours.set_unread_flag(True)

    async def flagged() -> bool:
        return bool((await ours.room_info()).is_marked_unread)

    await alice.person.pulse.until("the room is marked unread", flagged)


async def _is(count: Any, expected: int) -> bool:
    return bool(await count() == expected)


async def thread(alice: View, bob: View, room_id: str) -> None:
    """A thread: sent by one, listed and read by the other."""
    root = await alice.says("let us discuss")
    await bob.hears("let us discuss")
    aside = await bob.person.view(room_id, ffi.TimelineFocus.THREAD(root))
    await aside.says("in the thread")
    summary = await alice.sees(
        "the thread's summary", root, lambda event: event.content.content.thread_summary
    )
    checked("one reply", summary.num_replies() == 1)
    with_latest = lambda event: is_ready(event.content.content.thread_summary.latest_event())
    await alice.sees("the thread's latest event", root, with_latest)
    theirs = await alice.person.view(room_id, ffi.TimelineFocus.THREAD(root))
    await theirs.timeline.paginate_backwards(20)
    await theirs.hears("in the thread")
    await theirs.says("indeed")
    await aside.hears("indeed")
    service = (await alice.person.room(room_id)).thread_list_service()
    await service.paginate()
    checked("the thread is listed", [item.root_event.event_id for item in service.items()] == [root])
    checked("with its replies counted", service.items()[0].num_replies == 2)
    await aside.timeline.mark_as_read(ffi.ReceiptType.READ)
    room = await alice.person.room(room_id)
    await room.set_thread_subscription(root, True)
    subscription = await room.fetch_thread_subscription(root)
    checked("alice is subscribed to the thread", subscription is not None and not subscription.automatic)
    await room.set_thread_subscription(root, False)
    checked("and no more", await room.fetch_thread_subscription(root) is None)


async def send_files(alice: View, bob: View) -> None:
    """An encrypted file; the media repository's limit."""
    checked("uploads may be large", await alice.person.client.get_max_media_upload_size() > 1_000_000)
    source = ffi.UploadSource.DATA(b"a small secret file", "small.txt")
    parameters = ffi.UploadParameters(
        source=source, caption=None, formatted_caption=None, mentions=None, in_reply_to=None
    )
    info = ffi.FileInfo(mimetype="text/plain", size=19, thumbnail_info=None, thumbnail_source=None)
    await alice.timeline.send_file(parameters, info).join()
    event = await bob.hears("small.txt")
    media = message_of(event).msg_type.content.source
    checked("its keys are in the message", '"key"' in media.to_json())
    checked("bob reads the file", await bob.person.client.get_media_content(media) == b"a small secret file")
    picture = await alice.person.client.upload_media("text/plain", b"in the open", None)
    plain = ffi.MediaSource.from_url(picture)
    checked("and one in the open", await bob.person.client.get_media_content(plain) == b"in the open")


async def pin(alice: View, bob: View, room_id: str) -> None:
    """Pinned events, also as a timeline of their own."""
    event_id = await alice.says("remember this")
    checked("alice pins it", await alice.timeline.pin_event(event_id))
    room = await bob.person.room(room_id)

    async def pinned() -> bool:
        return bool((await room.room_info()).pinned_event_ids == [event_id])

    await bob.person.pulse.until("bob sees what is pinned", pinned)
    board = await bob.person.view(room_id, ffi.TimelineFocus.PINNED_EVENTS())
    await board.hears("remember this")


async def look_around(bob: View, room_id: str, event_id: str) -> None:
    """A permalink: the timeline around one event, and forwards from there."""
    mode = ui.TimelineEventFocusThreadMode.AUTOMATIC(hide_threaded_events=False)
    focused = await bob.person.view(room_id, ffi.TimelineFocus.EVENT(event_id, 4, mode))
    await focused.hears("hello")
    while not await focused.timeline.paginate_forwards(20):
        pass
    while not await focused.timeline.paginate_backwards(20):
        pass
    await focused.hears("remember this")

    def created() -> bool:
        states = [event.content.content for event in focused.events if event.content.is_state()]
        return any(content.is_room_create() for content in states)

    await bob.person.pulse.until("back to the room's creation", created)
