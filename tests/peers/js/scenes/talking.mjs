// In a room: messages of all kinds, edits, reactions, redactions, polls, threads, receipts, counts, typing, presence, search.
import { ReceiptType, RelationType } from "matrix-js-sdk";
import { check, heard, meeting, repliesInThread, same, sees, state, until } from "../people.mjs";

const relation = (rel_type, event_id, more = {}) => ({ "m.relates_to": { rel_type, event_id, ...more } });

export async function messages(alice, bob) {
    const roomId = await meeting({ name: "Messages" }, alice, bob);
    const hears = async (what, sent, look) => {
        const event = await heard(bob, roomId, (await sent).event_id);
        same(what, look(event.getContent()), look({ ...expected }));
        return event;
    };
    let expected = { msgtype: "m.text", body: "hello" };
    const both = ({ msgtype, body }) => [msgtype, body];
    const hello = await hears("bob reads a text", alice.sendTextMessage(roomId, "hello"), both);
    same("from alice", hello.getSender(), alice.getUserId());
    check("in the clear", !hello.isEncrypted());
    expected = { msgtype: "m.notice", body: "mind the gap" };
    await hears("a notice", alice.sendNotice(roomId, "mind the gap"), both);
    expected = { msgtype: "m.emote", body: "waves" };
    await hears("an emote", alice.sendEmoteMessage(roomId, "waves"), both);
    expected = { formatted_body: "<b>bold</b>" };
    await hears("HTML", alice.sendHtmlMessage(roomId, "bold", "<b>bold</b>"), (c) => c.formatted_body);
    expected = { msgtype: "m.image", body: "a rose", url: "mxc://example.org/rose" };
    await hears("an image", alice.sendImageMessage(roomId, expected.url, {}, "a rose"), (c) => [c.msgtype, c.body, c.url]);
    await hears("a sticker", alice.sendStickerMessage(roomId, expected.url, {}, "a rose"), (c) => c.url);
    expected = { msgtype: "m.location", body: "here", geo_uri: "geo:51.5,0.1" };
    await hears("a place", alice.sendMessage(roomId, expected), (c) => c.geo_uri);

    const reply = { msgtype: "m.text", body: "yourself", "m.relates_to": { "m.in_reply_to": { event_id: hello.getId() } } };
    const { event_id: replyId } = await bob.sendMessage(roomId, reply);
    same("alice reads a reply to her text", (await heard(alice, roomId, replyId)).replyEventId, hello.getId());
    const once = await alice.sendTextMessage(roomId, "once", "one transaction");
    const twice = await alice.http.authedRequest(
        "PUT",
        `/rooms/${encodeURIComponent(roomId)}/send/m.room.message/one%20transaction`,
        undefined,
        { msgtype: "m.text", body: "once" },
    );
    same("what is sent again is sent once", twice.event_id, once.event_id);
    const pinned = { pinned: [hello.getId()] };
    await alice.sendStateEvent(roomId, "m.room.pinned_events", pinned, "");
    await sees("bob sees what is pinned", () => state(bob, roomId, "m.room.pinned_events")?.pinned[0] === hello.getId());
}

export async function changes(alice, bob) {
    const roomId = await meeting({ name: "Changes" }, alice, bob);
    const { event_id: helo } = await alice.sendTextMessage(roomId, "helo");
    const local = await heard(bob, roomId, helo);
    const edit = { "msgtype": "m.text", "body": "* hello", "m.new_content": { msgtype: "m.text", body: "hello" } };
    const { event_id: edited } = await alice.sendMessage(roomId, { ...edit, ...relation("m.replace", helo) });
    await sees("bob reads the edit", () => local.getContent().body === "hello");
    const served = await bob.fetchRoomEvent(roomId, helo);
    same("the server gives it with the original", served.unsigned["m.relations"]["m.replace"].event_id, edited);

    const { event_id: wave } = await bob.sendEvent(roomId, "m.reaction", relation("m.annotation", helo, { key: "👋" }));
    const reactions = () => {
        const { relations } = alice.getRoom(roomId);
        return relations.getChildEventsForEvent(helo, "m.annotation", "m.reaction")?.getSortedAnnotationsByKey() ?? [];
    };
    const [[key, events]] = await until("the reaction", () => reactions()[0]?.[1].size && reactions());
    same("alice sees the reaction", [key, [...events][0].getSender()], ["👋", bob.getUserId()]);
    const { events: related } = await bob.relations(roomId, helo, RelationType.Annotation, "m.reaction");
    same("the server lists it", related.map((event) => event.getId()), [wave]);
    await bob.redactEvent(roomId, wave);
    await sees("alice sees the reaction taken back", () => !reactions()[0]?.[1].size);

    const { event_id: oops } = await bob.sendTextMessage(roomId, "oops");
    const mistake = await heard(alice, roomId, oops);
    await bob.redactEvent(roomId, oops, undefined, { reason: "wrong window" });
    await sees("alice sees the redaction", () => mistake.isRedacted());
    same("nothing is left of it", mistake.getContent(), {});
    same("but why", mistake.getUnsigned().redacted_because.content.reason, "wrong window");
    const { event_id: hidden } = await bob.sendTextMessage(roomId, "rude");
    await alice.redactEvent(roomId, hidden);
    await sees("a moderator redacts what others said", () => bob.getRoom(roomId).findEventById(hidden)?.isRedacted());
    await poll(alice, bob, roomId);
}

async function poll(alice, bob, roomId) {
    const text = (words) => ({ "org.matrix.msc1767.text": words });
    const answers = ["green", "black"].map((id) => ({ id, ...text(id) }));
    const start = { question: text("Which tea?"), kind: "org.matrix.msc3381.poll.disclosed", max_selections: 1, answers };
    const asked = await alice.sendEvent(roomId, "org.matrix.msc3381.poll.start", {
        ...text("Which tea?"),
        "org.matrix.msc3381.poll.start": start,
    });
    const one = await sees("bob sees the poll", () => bob.getRoom(roomId).polls.get(asked.event_id));
    same("and what it asks", one.pollEvent.question.text, "Which tea?");
    const response = { "org.matrix.msc3381.poll.response": { answers: ["green"] } };
    await bob.sendEvent(roomId, "org.matrix.msc3381.poll.response", { ...response, ...relation("m.reference", asked.event_id) });
    const hers = await until("the poll", () => alice.getRoom(roomId).polls.get(asked.event_id));
    const voters = async () => (await hers.getResponses()).getRelations().map((event) => event.getSender());
    await sees("alice sees his vote", async () => (await voters()).includes(bob.getUserId()));
    const end = { "org.matrix.msc3381.poll.end": {}, ...text("over"), ...relation("m.reference", asked.event_id) };
    await alice.sendEvent(roomId, "org.matrix.msc3381.poll.end", end);
    await sees("bob sees that it is over", () => one.isEnded);
}

export async function threads(alice, bob) {
    const roomId = await meeting({ name: "Threads" }, alice, bob);
    const { event_id: root } = await bob.sendTextMessage(roomId, "a thread?");
    await heard(alice, roomId, root);
    const said = [];
    for (const words of ["yes", "why not", "go on"]) said.push(await repliesInThread(alice, roomId, root, words));
    const room = bob.getRoom(roomId);
    const thread = await sees("bob sees the thread", () => room.getThread(root));
    await sees("with its replies", () => thread.length === 3 && thread.replyToEvent?.getId() === said[2]);
    await sees("and how many he has not read", () => room.getThreadUnreadNotificationCount(root, "total") === 3);
    same("which are not counted in the room", room.getRoomUnreadNotificationCount("total"), 0);
    await bob.sendReadReceipt(await heard(bob, roomId, said[2]));
    await sees("a receipt in the thread clears them", () => room.getThreadUnreadNotificationCount(root, "total") === 0);
    const hers = await until("alice's thread", () => alice.getRoom(roomId).getThread(root));
    await sees("alice sees his receipt in the thread", () => hers.hasUserReadEvent(bob.getUserId(), said[2]));
    const served = await bob.fetchRoomEvent(roomId, root);
    const summary = served.unsigned["m.relations"]["m.thread"];
    same("the server counts the replies", [summary.count, summary.latest_event.event_id], [3, said[2]]);
    check("and that bob has part in it", summary.current_user_participated);
    const { event_id: other } = await bob.sendTextMessage(roomId, "another");
    await heard(alice, roomId, other);
    await repliesInThread(alice, roomId, other, "short");
    const all = await bob.createThreadListMessagesRequest(roomId, null, 10, "b", null);
    same("the threads are listed by who spoke last", all.chunk.map((event) => event.event_id), [root, other]); // the SDK turns it round
    const { chunk } = await bob.createThreadListMessagesRequest(roomId, null, 10, "b", "My");
    same("or those one has part in", chunk.length, 2);
    const { events } = await alice.relations(roomId, root, "m.thread", null, { dir: "f" });
    same("the replies are read in order", events.map((event) => event.getId()), said);
}

export async function attention(alice, bob) {
    const roomId = await meeting({ name: "Attention" }, alice, bob);
    const [ours, theirs] = [alice.getRoom(roomId), bob.getRoom(roomId)];
    const unread = (type) => theirs.getUnreadNotificationCount(type);
    let last;
    for (const words of ["one", "two", "three"]) last = (await alice.sendTextMessage(roomId, words)).event_id;
    await heard(bob, roomId, last);
    await sees("bob has three unread", () => unread("total") === 3);
    same("none of which calls him", unread("highlight") ?? 0, 0);
    const mention = { "msgtype": "m.text", "body": "bob?", "m.mentions": { user_ids: [bob.getUserId()] } };
    const { event_id: call } = await alice.sendMessage(roomId, mention);
    await sees("a mention calls him", () => unread("total") === 4 && unread("highlight") === 1);
    await bob.sendReadReceipt(theirs.findEventById(last));
    await sees("a receipt leaves what is after it", () => unread("total") === 1);
    await sees("alice sees the receipt", () => ours.hasUserReadEvent(bob.getUserId(), last));
    await bob.sendReadReceipt(theirs.findEventById(call), ReceiptType.ReadPrivate);
    await sees("a private one clears the rest", () => unread("total") === 0 && unread("highlight") === 0);
    const { event_id: after } = await alice.sendTextMessage(roomId, "are you there?");
    await heard(bob, roomId, after);
    check("alice does not see it", !ours.hasUserReadEvent(bob.getUserId(), call));
    await bob.setRoomReadMarkers(roomId, after, theirs.findEventById(after));
    const marked = () => theirs.getAccountData("m.fully_read")?.getContent().event_id === after;
    await sees("the marker of what is read is kept", marked);
    await sees("and tells alice too", () => ours.hasUserReadEvent(bob.getUserId(), after));
    await bob.setRoomAccountData(roomId, "m.marked_unread", { unread: true });
    await sees("bob marks the room unread", () => theirs.getAccountData("m.marked_unread")?.getContent().unread);

    await alice.sendTyping(roomId, true, 30_000);
    await sees("bob sees alice type", () => theirs.getMember(alice.getUserId()).typing);
    await alice.sendTyping(roomId, false, 0);
    await sees("and stop", () => !theirs.getMember(alice.getUserId()).typing);
    await bob.setSyncPresence("unavailable"); // or his next /sync would say that he is here
    await bob.setPresence({ presence: "unavailable", status_msg: "making tea" });
    const status = () => alice.getUser(bob.getUserId())?.presenceStatusMsg === "making tea";
    await sees("alice sees bob away, and why", () => status() && alice.getUser(bob.getUserId()).presence === "unavailable");
    same("the server says so too", (await alice.getPresence(bob.getUserId())).status_msg, "making tea");
    await bob.setSyncPresence("online");
}

export async function history(alice, bob) {
    const roomId = await meeting({ name: "History" }, alice, bob);
    const sent = [];
    for (let number = 0; number < 40; number++) {
        sent.push((await alice.sendTextMessage(roomId, `number ${number}${number % 10 ? "" : " is round"}`)).event_id);
    }
    await heard(bob, roomId, sent.at(-1));
    const events = [];
    let timeline = bob.getRoom(roomId).getLiveTimeline();
    while (timeline) {
        while (await bob.paginateEventTimeline(timeline, { backwards: true, limit: 10 }));
        events.unshift(...timeline.getEvents());
        timeline = timeline.getNeighbouringTimeline("b"); // where /sync had left a gap
    }
    same("bob pages back to the beginning", events[0].getType(), "m.room.create");
    const texts = events.filter((event) => event.getType() === "m.room.message").map((event) => event.getId());
    same("and has every message once, in order", texts, sent);
    const set = bob.getRoom(roomId).getUnfilteredTimelineSet();
    same("a message is found with those around it", (await bob.getEventTimeline(set, sent[5])).getEvents().length > 5, true);

    const asked = { term: "round", filter: { rooms: [roomId], limit: 3 } };
    const found = await sees("search finds all that was said, and counts it", async () => {
        const answer = await bob.searchRoomEvents(asked); // the index may be behind on a busy machine
        return answer.count === 4 && answer;
    });
    await bob.backPaginateRoomEventsSearch(found);
    const ids = found.results.map((result) => result.context.getEvent().getId());
    same("and gives it by pages", [...ids].sort(), [sent[0], sent[10], sent[20], sent[30]].sort());
    check("with what stands around", found.results[0].context.getTimeline().length > 1);
    check("and the words found", found.highlights.includes("round"));
    const elsewhere = await bob.search({ body: { search_categories: { room_events: { search_term: "zebra" } } } });
    same("what nobody said is not found", elsewhere.search_categories.room_events.count, 0);
}
