"""The playground's memory: people, chats, messages, pending updates and files, kept in one folder."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

Json = dict[str, Any]

DRAFT_SECONDS = 30
ACTION_SECONDS = 5
CHECKOUT_SECONDS = 10
LARGEST_FILE = 50 * 1024 * 1024
KEPT_EVENTS = 5_000
NOT_SENT_UNLESS_ASKED = frozenset({"chat_member", "message_reaction", "message_reaction_count"})
FOLDERS = {
    "photo": "photos",
    "voice": "voice",
    "audio": "music",
    "video": "videos",
    "video_note": "video_notes",
    "sticker": "stickers",
    "document": "documents",
}


class Refused(Exception):
    """A call Telegram would refuse; carries what its answer would say."""

    def __init__(self, code: int, description: str, *, retry_after: int | None = None) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.retry_after = retry_after


def bad_request(reason: str) -> Refused:
    """The refusal Telegram words as `Bad Request: <reason>`."""
    return Refused(400, f"Bad Request: {reason}")


@dataclass(frozen=True)
class Person:
    """Somebody who can talk to the bot; the private chat has the same id."""

    id: int
    first_name: str
    username: str
    language_code: str

    def as_user(self) -> Json:
        """The person as a Bot API User."""
        return {"id": self.id, "is_bot": False, **{k: v for k, v in asdict(self).items() if k != "id"}}


@dataclass(frozen=True)
class StoredFile:
    """A file the server keeps; `media` is the Bot API value a message shows for it."""

    file_id: str
    file_unique_id: str
    number: int
    kind: str
    path: str
    size: int
    mime: str
    media: Any


@dataclass
class Draft:
    """A message being written by the bot; it is seen until `ends`, a Unix time."""

    draft_id: int
    text: str
    entities: list[Json]
    can_stop: bool
    keep_on_stop: bool
    ends: float

    def as_event(self) -> Json:
        """The draft as the page sees it."""
        return {
            "type": "draft",
            "draft_id": self.draft_id,
            "text": self.text,
            "entities": self.entities,
            "can_stop": self.can_stop,
        }


@dataclass
class Checkout:
    """A person about to pay, waiting for the bot's `answer` until `ends`, a Unix time."""

    ends: float
    answer: Json | None = None


@dataclass
class Chat:
    """One chat, private or group, with everything in it."""

    described: Json
    messages: dict[int, Json] = field(default_factory=dict)
    reactions: dict[int, list[Json]] = field(default_factory=dict)
    last_message_id: int = 0
    started: bool = False
    blocked: bool = False
    pinned: list[int] = field(default_factory=list)
    draft: Draft | None = None
    action: tuple[str, float] | None = None
    events: list[tuple[int, Json]] = field(default_factory=list)
    forgotten_events: int = 0

    @property
    def private(self) -> bool:
        """Whether this is a chat with one person."""
        return bool(self.described["type"] == "private")

    @property
    def last_event(self) -> int:
        """The number of the newest event, 0 when there is none."""
        return max(self.events[-1][0] if self.events else 0, self.forgotten_events)


class Chats:
    """Everything the server remembers; each change is a line in the journal before it is seen."""

    def __init__(self, folder: Path, *, now: Callable[[], float] = time.time) -> None:
        self.now = now
        self.people: dict[int, Person] = {}
        self.chats: dict[int, Chat] = {}
        self.updates: dict[int, Json] = {}
        self.files: dict[str, StoredFile] = {}
        self.settings: Json = {}
        self.queries: dict[str, tuple[int, int]] = {}
        self.invoices: dict[tuple[int, int], str] = {}
        self.invoice_links: dict[str, Json] = {}
        self.payments: dict[str, Json] = {}
        self.subscriptions: dict[str, Json] = {}
        self.checkouts: dict[str, Checkout] = {}
        self._paths: dict[str, StoredFile] = {}
        self._last = {"update": int(now()), "file": 0, "person": 700_000_000, "group": 1_000_000_000, "event": 0}
        self._changed = asyncio.Event()
        self._folder = folder
        self._blobs = folder / "files"
        self._blobs.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = folder / "journal.jsonl"
        self._replay()
        self._journal: IO[bytes] = self._open_journal()

    def close(self) -> None:
        """Let go of the journal file."""
        self._journal.close()

    async def wait_for_change(self, seconds: float) -> None:
        """Return at the next change of anything, or after `seconds`."""
        changed = self._changed
        try:
            async with asyncio.timeout(max(seconds, 0)):
                await changed.wait()
        except TimeoutError:
            return

    def touch(self) -> None:
        """Wake everybody who waits for a change."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    # People and chats

    def add_person(self, *, first_name: str, username: str | None = None, language_code: str = "en") -> Person:
        """A new person with an empty private chat."""
        number = self._last["person"] + 1
        person = Person(number, first_name, username or f"person_{number - 700_000_000}", language_code)
        self._record({"do": "person", "person": asdict(person)})
        return person

    def add_group(self, *, title: str) -> int:
        """The id of a new group chat."""
        number = -1_000_000_000_000 - self._last["group"] - 1
        self._record({"do": "group", "chat": number, "title": title})
        return number

    def person(self, person_id: int) -> Person:
        """The person with this id; raises Refused when there is none."""
        try:
            return self.people[person_id]
        except KeyError:
            raise Refused(404, "Not Found: no such person") from None

    def chat(self, chat_id: int) -> Chat:
        """The chat with this id; raises Refused as Telegram does."""
        try:
            return self.chats[chat_id]
        except KeyError:
            raise bad_request("chat not found") from None

    def set_blocked(self, chat_id: int, blocked: bool) -> None:
        """Let a person block the bot, or take it back."""
        self._record({"do": "block", "chat": chat_id, "blocked": blocked})

    def pin(self, chat_id: int, message_id: int) -> None:
        """Put a message on top of the pinned ones."""
        pinned = [number for number in self.chat(chat_id).pinned if number != message_id]
        self._record({"do": "pin", "chat": chat_id, "pinned": [*pinned, message_id]})

    def unpin(self, chat_id: int, message_id: int) -> None:
        """Take a message off the pinned ones."""
        pinned = [number for number in self.chat(chat_id).pinned if number != message_id]
        self._record({"do": "pin", "chat": chat_id, "pinned": pinned})

    # Messages

    def add_message(self, chat_id: int, sender: Json, content: Json) -> Json:
        """The new message, numbered and dated, already in the chat."""
        chat = self.chat(chat_id)
        message = {
            "message_id": chat.last_message_id + 1,
            "from": sender,
            "chat": chat.described,
            "date": int(self.now()),
            **content,
        }
        self._record({"do": "message", "chat": chat_id, "message": message, "n": self._event_number()})
        return message

    def replace_message(self, chat_id: int, message: Json) -> None:
        """Put an edited message in the place of the old one."""
        self._record({"do": "edit", "chat": chat_id, "message": message, "n": self._event_number()})

    def delete_message(self, chat_id: int, message_id: int) -> None:
        """Take a message out of the chat; its id is never used again."""
        number = self._event_number()
        self._record({"do": "delete", "chat": chat_id, "message_id": message_id, "n": number})

    def set_reaction(self, chat_id: int, message_id: int, reaction: list[Json]) -> None:
        """Show the bot's reaction under a message; an empty list takes it away."""
        number = self._event_number()
        self._record({"do": "react", "chat": chat_id, "message_id": message_id, "reaction": reaction, "n": number})

    # What is shown for a moment and not kept

    def show_draft(self, chat_id: int, draft: Draft) -> None:
        """Show a message being written, in place of the one shown before."""
        chat = self.chat(chat_id)
        chat.draft = draft
        self._announce(chat, self._event_number(), draft.as_event())
        self.touch()

    def hide_draft(self, chat_id: int) -> None:
        """Take away the message being written."""
        self.chat(chat_id).draft = None
        self.touch()

    def draft(self, chat_id: int) -> Draft | None:
        """The message being written now, or None."""
        draft = self.chat(chat_id).draft
        return draft if draft is not None and draft.ends > self.now() else None

    def show_action(self, chat_id: int, action: str) -> None:
        """Show a chat action such as `typing`."""
        chat = self.chat(chat_id)
        chat.action = (action, self.now() + ACTION_SECONDS)
        self._announce(chat, self._event_number(), {"type": "action", "action": action})
        self.touch()

    def add_query(self, chat_id: int, message_id: int) -> str:
        """The id of a new tap on a button of this message."""
        query_id = str(secrets.randbelow(2**62) + 2**60)
        self._record({"do": "query", "id": query_id, "chat": chat_id, "message_id": message_id})
        return query_id

    def answer_query(self, query_id: str, answer: Json) -> None:
        """Pass the bot's answer to the person who tapped; raises Refused for an unknown tap."""
        if query_id not in self.queries:
            raise bad_request("query is too old and response timeout expired or query ID is invalid")
        chat = self.chat(self.queries[query_id][0])
        event = {"type": "callback_answered", "callback_query_id": query_id, **answer}
        self._announce(chat, self._event_number(), event)
        self.touch()

    # Stars: none is real here

    def add_invoice(self, chat_id: int, message_id: int, payload: str) -> None:
        """Remember what the bot's invoice carries and nobody sees."""
        self._record({"do": "invoice", "chat": chat_id, "message_id": message_id, "payload": payload})

    def add_invoice_link(self, invoice: Json, *, payload: str, period: int | None) -> str:
        """The name of a new link to an invoice."""
        name = secrets.token_urlsafe(16)
        link = {"invoice": invoice, "payload": payload, "period": period}
        self._record({"do": "invoice_link", "name": name, "link": link})
        return name

    def open_checkout(self) -> str:
        """The id of a new pre-checkout query; the bot has ten seconds to answer it."""
        query_id = str(secrets.randbelow(2**62) + 2**60)
        self.checkouts[query_id] = Checkout(self.now() + CHECKOUT_SECONDS)
        return query_id

    def answer_checkout(self, query_id: str, answer: Json) -> None:
        """Keep the bot's answer for the person who waits; raises Refused for an unknown, answered or late one."""
        checkout = self.checkouts.get(query_id)
        if checkout is None or checkout.answer is not None or checkout.ends <= self.now():
            raise bad_request("query is too old and response timeout expired or query ID is invalid")
        checkout.answer = answer
        self.touch()

    def add_payment(self, person_id: int, *, stars: int, payload: str, subscription: bool = False) -> str:
        """The charge id of a new payment with test Stars."""
        charge_id = "stx" + secrets.token_urlsafe(60)
        payment = {"user": person_id, "stars": stars, "payload": payload, "date": int(self.now()), "refunded": None}
        payment |= {"subscription": True} if subscription else {}
        self._record({"do": "payment", "id": charge_id, "payment": payment})
        return charge_id

    def refund_payment(self, charge_id: str) -> None:
        """Note that the test Stars of a payment went back."""
        self._record({"do": "refund", "id": charge_id, "date": int(self.now())})

    def add_subscription(self, charge_id: str, *, until: int) -> None:
        """Note that a payment began a subscription, paid until then."""
        payment = self.payments[charge_id]
        begun = {"user": payment["user"], "stars": payment["stars"], "payload": payment["payload"], "until": until}
        subscription = {**begun, "canceled": False, "bot_canceled": False}
        self._record({"do": "subscription", "id": charge_id, "subscription": subscription})

    def change_subscription(self, charge_id: str, **changes: Any) -> None:
        """Note what changed of a subscription."""
        changed = {**self.subscriptions[charge_id], **changes}
        self._record({"do": "subscription", "id": charge_id, "subscription": changed})

    # Events for the page

    def events_after(self, chat_id: int, number: int) -> list[tuple[int, Json]]:
        """What happened in the chat after event `number`; a reset and the whole chat when that is forgotten."""
        chat = self.chat(chat_id)
        if number < chat.forgotten_events:
            return [(chat.last_event, event) for event in ({"type": "reset"}, *self.history(chat_id))]
        return [(n, event) for n, event in chat.events if n > number]

    def history(self, chat_id: int) -> list[Json]:
        """The events that rebuild the chat as it stands now."""
        chat = self.chat(chat_id)
        events = [_message_event(message) for message in chat.messages.values()]
        for message_id, reaction in chat.reactions.items():
            events.append({"type": "reaction", "message_id": message_id, "reaction": reaction})
        draft = self.draft(chat_id)
        if draft is not None:
            events.append(draft.as_event())
        if chat.action is not None and chat.action[1] > self.now():
            events.append({"type": "action", "action": chat.action[0]})
        return events

    # Updates for the bot

    def add_update(self, kind: str, content: Json) -> None:
        """Queue an update for the bot, unless it asked not to get this kind."""
        allowed = self.settings.get("allowed_updates")
        wanted = kind in allowed if allowed else kind not in NOT_SENT_UNLESS_ASKED
        if not wanted:
            return
        self._record({"do": "update", "update": {"update_id": self._last["update"] + 1, kind: content}})

    def confirm_updates(self, below: int) -> None:
        """Forget the updates with smaller ids than `below`."""
        if any(number < below for number in self.updates):
            self._record({"do": "confirm", "below": below})

    def set(self, name: str, value: Any) -> None:
        """Remember a setting of the bot."""
        if self.settings.get(name) != value:
            self._record({"do": "set", "name": name, "value": value})

    # Files

    def new_file_id(self) -> str:
        """A file id nobody can guess."""
        return "BQAC" + secrets.token_urlsafe(42)

    def unique_id(self, data: bytes) -> str:
        """The file_unique_id of these bytes: the same for the same bytes."""
        return "AQAD" + hashlib.sha256(data).hexdigest()[:16]

    def store(self, data: bytes, *, file_id: str, kind: str, extension: str, mime: str, media: Any) -> StoredFile:
        """Keep the bytes under `file_id`; raises Refused over 50 MB."""
        if len(data) > LARGEST_FILE:
            raise Refused(413, "Request Entity Too Large")
        number = self._last["file"] + 1
        stored = StoredFile(
            file_id=file_id,
            file_unique_id=self.unique_id(data),
            number=number,
            kind=kind,
            path=f"{FOLDERS[kind]}/file_{number}{extension}",
            size=len(data),
            mime=mime,
            media=media,
        )
        self.blob(stored).write_bytes(data)
        self._record({"do": "file", "file": asdict(stored)})
        return stored

    def file(self, file_id: str) -> StoredFile:
        """The file with this id; raises Refused as Telegram does."""
        try:
            return self.files[file_id]
        except KeyError:
            raise bad_request("wrong file_id or the file is temporarily unavailable") from None

    def file_at(self, path: str) -> StoredFile | None:
        """The file Telegram would give at this file_path."""
        return self._paths.get(path)

    def blob(self, stored: StoredFile) -> Path:
        """Where the bytes lie."""
        return self._blobs / str(stored.number)

    # Reset, journal and replay

    def reset(self) -> None:
        """Empty every chat and forget files, links and pending updates; people, settings and payments stay."""
        records: list[Json] = [{"do": "person", "person": asdict(person)} for person in self.people.values()]
        for number, chat in self.chats.items():
            if not chat.private:
                records.append({"do": "group", "chat": number, "title": chat.described["title"]})
            counted = {"do": "counted", "chat": number, "last": chat.last_message_id, "started": chat.started}
            # One past the last event: a page that saw all of them must still hear of the reset.
            records.append({**counted, "forgotten": chat.last_event + 1})
        records += [{"do": "set", "name": name, "value": value} for name, value in self.settings.items()]
        records += [{"do": "payment", "id": name, "payment": payment} for name, payment in self.payments.items()]
        records += [
            {"do": "subscription", "id": name, "subscription": subscription}
            for name, subscription in self.subscriptions.items()
        ]
        records.append({"do": "last", "last": self._last})
        fresh = self._path.with_suffix(".new")
        fresh.write_bytes(b"".join(_line(record) for record in records))
        self._journal.close()
        os.replace(fresh, self._path)
        self._journal = self._open_journal()
        self.chats.clear()
        self.updates.clear()
        self.files.clear()
        self._paths.clear()
        self.queries.clear()
        self.invoices.clear()
        self.invoice_links.clear()
        for record in records:
            self._apply(record)
        shutil.rmtree(self._blobs)
        self._blobs.mkdir(mode=0o700)
        for chat in self.chats.values():
            number = max(self._event_number(), chat.forgotten_events + 1)
            self._announce(chat, number, {"type": "reset"})
        self.touch()

    def _open_journal(self) -> IO[bytes]:
        return os.fdopen(os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "wb")

    def _replay(self) -> None:
        if not self._path.exists():
            return
        whole = 0
        with self._path.open("rb") as journal:
            for line in journal:
                # A process that was killed may leave half a line at the end.
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                self._apply(json.loads(line))
        if whole != self._path.stat().st_size:
            os.truncate(self._path, whole)

    def _record(self, record: Json) -> None:
        self._journal.write(_line(record))
        self._journal.flush()
        # What the state keeps must be what a restart would read back, and nobody else's object.
        self._apply(json.loads(_line(record)))
        self.touch()

    def _event_number(self) -> int:
        return max(self._last["event"] + 1, int(self.now() * 1000))

    def _announce(self, chat: Chat, number: int, event: Json) -> None:
        self._last["event"] = max(self._last["event"], number)
        chat.events.append((number, event))
        if len(chat.events) > KEPT_EVENTS:
            dropped = KEPT_EVENTS // 2
            chat.forgotten_events = chat.events[dropped - 1][0]
            del chat.events[:dropped]

    def _apply(self, record: Json) -> None:
        getattr(self, f"_apply_{record['do']}")(record)

    def _apply_person(self, record: Json) -> None:
        person = Person(**record["person"])
        self.people[person.id] = person
        self._last["person"] = max(self._last["person"], person.id)
        described = {"id": person.id, "first_name": person.first_name, "username": person.username}
        self.chats[person.id] = Chat({**described, "type": "private"})

    def _apply_group(self, record: Json) -> None:
        self._last["group"] = max(self._last["group"], -record["chat"] - 1_000_000_000_000)
        described = {"id": record["chat"], "title": record["title"], "type": "supergroup"}
        self.chats[record["chat"]] = Chat(described, started=True)

    def _apply_message(self, record: Json) -> None:
        chat, message = self.chats[record["chat"]], record["message"]
        chat.messages[message["message_id"]] = message
        chat.last_message_id = message["message_id"]
        if message["from"]["is_bot"]:
            chat.draft = None
            chat.action = None
        else:
            chat.started = True
        self._announce(chat, record["n"], _message_event(message))

    def _apply_edit(self, record: Json) -> None:
        chat, message = self.chats[record["chat"]], record["message"]
        chat.messages[message["message_id"]] = message
        self._announce(chat, record["n"], {"type": "message_edited", "message": message})

    def _apply_delete(self, record: Json) -> None:
        chat, number = self.chats[record["chat"]], record["message_id"]
        chat.messages.pop(number, None)
        chat.reactions.pop(number, None)
        chat.pinned = [pinned for pinned in chat.pinned if pinned != number]
        self._announce(chat, record["n"], {"type": "message_deleted", "message_id": number})

    def _apply_react(self, record: Json) -> None:
        chat, number, reaction = self.chats[record["chat"]], record["message_id"], record["reaction"]
        chat.reactions[number] = reaction
        self._announce(chat, record["n"], {"type": "reaction", "message_id": number, "reaction": reaction})

    def _apply_block(self, record: Json) -> None:
        self.chats[record["chat"]].blocked = record["blocked"]

    def _apply_pin(self, record: Json) -> None:
        self.chats[record["chat"]].pinned = record["pinned"]

    def _apply_query(self, record: Json) -> None:
        self.queries[record["id"]] = (record["chat"], record["message_id"])

    def _apply_invoice(self, record: Json) -> None:
        self.invoices[record["chat"], record["message_id"]] = record["payload"]

    def _apply_invoice_link(self, record: Json) -> None:
        self.invoice_links[record["name"]] = record["link"]

    def _apply_subscription(self, record: Json) -> None:
        self.subscriptions[record["id"]] = record["subscription"]

    def _apply_payment(self, record: Json) -> None:
        self.payments[record["id"]] = record["payment"]

    def _apply_refund(self, record: Json) -> None:
        self.payments[record["id"]]["refunded"] = record["date"]

    def _apply_update(self, record: Json) -> None:
        number = record["update"]["update_id"]
        self.updates[number] = record["update"]
        self._last["update"] = number

    def _apply_confirm(self, record: Json) -> None:
        self.updates = {number: update for number, update in self.updates.items() if number >= record["below"]}

    def _apply_set(self, record: Json) -> None:
        self.settings[record["name"]] = record["value"]

    def _apply_file(self, record: Json) -> None:
        stored = StoredFile(**record["file"])
        self.files[stored.file_id] = stored
        self._paths[stored.path] = stored
        self._last["file"] = stored.number

    def _apply_counted(self, record: Json) -> None:
        chat = self.chats[record["chat"]]
        chat.last_message_id, chat.started = record["last"], record["started"]
        chat.forgotten_events = record["forgotten"]

    def _apply_last(self, record: Json) -> None:
        self._last = {**self._last, **record["last"]}


def _message_event(message: Json) -> Json:
    return {"type": "message", "message": message, "from_bot": message["from"]["is_bot"]}


def _line(record: Json) -> bytes:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"
