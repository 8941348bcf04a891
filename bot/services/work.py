"""A piece of work in hand: what a handler or a job may do with it.

A handler turns an update into rows, messages and jobs in milliseconds. A job calls models and media in durable
steps and then finishes. Both end in one commit: effects, messages, jobs, done. The engine makes these objects.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel

from bot.ai.meter import Ticket
from bot.errors import ModelUnavailable, ProviderClosed
from storage import people
from storage import work as store
from storage.database import Database, DatabaseUnavailable, Fenced, Transaction

Result = TypeVar("Result", bound=BaseModel)

EDIT_SECONDS = 3.0
"""How often a growing message is edited where Telegram takes no drafts: edits go through the outbox and its gates."""

FRAME = "frame:"
"""How the key of such a message begins: it goes when the job ends, so nothing of it is ever sent anew."""

MOST_SHOWN = 2_000
"""Letters of it: whatever they are, no more than a message may have."""

GIVE_UP_AFTER = 5
"""How many tries a piece of work gets before it is parked and the person told."""

MOST_WAITED = 180.0
"""Seconds that a provider may ask for before another try; whom it asks for more is told so at once."""


def passes(error: Exception) -> bool:
    """Whether a job that ends in this error may go through a little later, and so is tried again."""
    return (
        isinstance(error, ModelUnavailable)
        and not isinstance(error, ProviderClosed)
        and (error.retry_after or 0) <= MOST_WAITED
    )


class Frames(Protocol):
    """Passing signs in the chat, around the outbox: they may be dropped, and never hold anything up."""

    async def draft(self, chat_id: int, draft_id: int, text: str) -> None:
        """Show the text so far as a draft with a Stop button."""

    def refused(self, chat_id: int) -> bool:
        """Whether Telegram takes no drafts in this chat."""

    async def settle(self, chat_id: int) -> None:
        """Show nothing more of what is pending: a message is about to follow."""

    async def action(self, chat_id: int, action: str) -> None:
        """Show a chat action such as "typing" for five seconds."""

    async def answer(self, method: str, payload: dict[str, Any]) -> None:
        """Make a call that Telegram waits seconds for; it is dropped when it cannot be made in time."""


class Work:
    """One piece of work: collects what is to be sent and started until its one commit."""

    def __init__(self, head: store.Head, fence: uuid.UUID) -> None:
        self.head = head
        self._fence = fence
        self._messages: list[store.NewMessage] = []
        self._jobs: list[store.NewWork] = []
        self.answers: list[tuple[str, dict[str, Any]]] = []
        self.unasked = False
        """Set where nobody waits for what this work sends: it lets pass what people wait for in other chats."""
        self._finished = False

    @property
    def chat_id(self) -> int:
        """The chat this work belongs to."""
        assert self.head.chat_id is not None
        return self.head.chat_id

    @property
    def finished(self) -> bool:
        """Whether the commit was prepared already."""
        return self._finished

    def send(self, method: str, payload: dict[str, Any], *, key: str | None = None, chat_id: int | None = None) -> None:
        """Call a Bot API method once this work is committed, in the chat's order.

        `payload` is the method's JSON without chat_id. `key` names the sent message: a later payload may say
        {"message_id": {"sent_as": key}}. A file is {"media": key in the media store, "name": file name}, also
        inside of a list, as in the {"type": "photo", "media": file} of sendMediaGroup.
        """
        self._messages.append(
            store.NewMessage(
                chat_id=chat_id or self.chat_id, method=method, payload=payload, key=key, unasked=self.unasked
            )
        )

    def answer_at_once(self, method: str, payload: dict[str, Any]) -> None:
        """Make a call right after the commit, past the outbox and its gates: for what Telegram waits seconds for.

        A crash in between loses it, so nothing may depend on it that the person cannot do again.
        """
        self.answers.append((method, payload))

    def start(self, name: str, payload: dict[str, Any], *, lane: str, key: str | None = None) -> None:
        """Start a job once this work is committed.

        Jobs of one lane run one after another; `lane` is a word such as "talk", kept per chat. `key` makes the job
        start once; it defaults to this work and the job's name.
        """
        self._jobs.append(
            store.NewWork(
                lane=f"{lane}:{self.chat_id}",
                kind="job",
                name=name,
                key=f"{name}:{key}" if key else f"{name}:{self.head.id}:{len(self._jobs)}",
                chat_id=self.chat_id,
                telegram_id=self.head.telegram_id,
                payload=payload,
            )
        )

    def start_apart(self, name: str, payload: dict[str, Any]) -> None:
        """Start a job in a lane of its own that names neither chat nor person."""
        self._jobs.append(
            store.NewWork(
                lane=f"{name}:{uuid.uuid4()}",
                kind="job",
                name=name,
                key=f"{name}:{self.head.id}",
                chat_id=self.head.chat_id,
                telegram_id=self.head.telegram_id,
                payload=payload,
            )
        )

    def forget_what_was_prepared(self) -> None:
        """Drop messages, jobs and answers collected so far, after a failed try."""
        self._messages.clear()
        self._jobs.clear()
        self.answers.clear()
        self._finished = False

    async def commit(self, transaction: Transaction, *, state: str = "done", error: str | None = None) -> None:
        """Write what was collected and mark the work ended; the transaction's commit makes it true.

        Raises Fenced when another process has taken the work over.
        """
        await transaction.become_service()
        await store.finish(
            transaction,
            head=self.head,
            fence=self._fence,
            state="parked" if state == "parked" else "done",
            error=error,
            jobs=self._jobs,
            messages=self._messages,
        )
        self._finished = True

    @property
    def fence(self) -> uuid.UUID:
        """The random token under which this process holds the lane."""
        return self._fence


class Job(Work):
    """Work with durable steps, outside any transaction until it finishes."""

    def __init__(
        self,
        head: store.Head,
        fence: uuid.UUID,
        *,
        database: Database,
        frames: Frames,
        steps: dict[str, Any],
    ) -> None:
        super().__init__(head, fence)
        assert head.user_id is not None
        self.user_id: uuid.UUID = head.user_id
        self.payload = head.payload
        self.stop = asyncio.Event()
        if head.cancelled:
            self.stop.set()
        self._database = database
        self._frames = frames
        self._steps = steps
        self._next_edit = 0.0
        self._shown_by_edit = False

    @property
    def last_try(self) -> bool:
        """Whether a failure of this try will be the last."""
        return self.head.attempts + 1 >= GIVE_UP_AFTER

    def waits_for(self, error: Exception) -> bool:
        """Whether to raise this error, as another try may mend it; else what is there already had better be shown."""
        return passes(error) and not self.last_try

    @property
    def stopped(self) -> bool:
        """Whether the person asked this job to stop."""
        return self.stop.is_set()

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A short transaction as the person, for reading or for effects that may stand on their own."""
        async with self._database.as_user(self.user_id).transaction() as transaction:
            yield transaction

    @contextlib.asynccontextmanager
    async def finish(self, *, parked_for: str | None = None) -> AsyncIterator[Transaction]:
        """The last transaction of the job: its effects, messages and the end of the job in one commit.

        `parked_for` names the error for which the job is kept, to be put back into its lane by hand.
        """
        if self.head.chat_id is not None:
            await self._frames.settle(self.head.chat_id)
            if self._shown_by_edit or (self.head.attempts and self._frames.refused(self.head.chat_id)):
                self.send("deleteMessage", {"message_id": {"sent_as": self._frame_key}})
        async with self._database.as_user(self.user_id).transaction() as transaction:
            yield transaction
            await self.commit(transaction, state="parked" if parked_for else "done", error=parked_for)

    async def call(self, step: str, result: type[Result], make: Callable[[Ticket], Awaitable[Result]]) -> Result:
        """What a metered call of this step gave: made and charged once, whatever crashes come between."""
        if step in self._steps:
            return result.model_validate(self._steps[step])

        async def still_ours(transaction: Transaction) -> None:
            await store.still_ours(transaction, head=self.head, fence=self.fence)

        async def record(transaction: Transaction, value: BaseModel) -> None:
            await store.record_step(
                transaction, head=self.head, fence=self.fence, step=step, result=value.model_dump(mode="json")
            )

        made = await make(
            Ticket(user_id=self.user_id, work_id=self.head.id, step=step, still_ours=still_ours, record=record)
        )
        self._steps[step] = made.model_dump(mode="json")
        return made

    async def step(self, step: str, make: Callable[[], Awaitable[Any]]) -> Any:
        """What an unmetered step gave (JSON): done once, kept for the tries after."""
        if step in self._steps:
            return self._steps[step]
        made = await make()
        async with self._database.as_service().transaction() as transaction:
            await store.record_step(transaction, head=self.head, fence=self.fence, step=step, result=made)
        self._steps[step] = made
        return made

    async def tell(self) -> None:
        """Send what was collected so far, before the job ends: for progress. Raises Fenced when it was taken over.

        A crash repeats it with the next try, so it is for messages that may be repeated, such as edits in place.
        """
        async with self._database.as_service().transaction() as transaction:
            await store.post(transaction, head=self.head, fence=self._fence, messages=self._messages)
        self._messages.clear()

    async def still_wanted(self) -> bool:
        """Whether the person is still here: False once they have erased everything."""
        async with self.transaction() as transaction:
            return await people.account(transaction) is not None

    def done(self, step: str) -> bool:
        """Whether the step was done in an earlier try or this one."""
        return step in self._steps

    async def show_draft(self, text: str) -> None:
        """Show the text so far as it grows; at most about two frames a second, never the cause of a failure.

        Where Telegram takes no drafts, a message of its own grows by edits, and goes when the job ends.
        """
        if text and self._frames.refused(self.chat_id):
            await self._show_by_edit(text)
        else:
            await self._frames.draft(self.chat_id, self.head.id, text)

    async def _show_by_edit(self, text: str) -> None:
        if time.monotonic() < self._next_edit:
            return
        self._next_edit = time.monotonic() + EDIT_SECONDS
        shown: dict[str, Any] = {"text": f"{text[-MOST_SHOWN:]} …"}
        # The first is sent once, also over a crash, and the others change it; those that are late are left out.
        messages = [store.NewMessage(chat_id=self.chat_id, method="sendMessage", payload=shown, key=self._frame_key)]
        if self._shown_by_edit:
            changed = shown | {"message_id": {"sent_as": self._frame_key}}
            messages = [store.NewMessage(chat_id=self.chat_id, method="editMessageText", payload=changed)]
        # Whoever has taken the work over shows it; and a database that is away shall not end the call under way.
        with contextlib.suppress(DatabaseUnavailable, Fenced):
            async with self._database.as_service().transaction() as transaction:
                await store.post(transaction, head=self.head, fence=self._fence, messages=messages)
            self._shown_by_edit = True

    @property
    def _frame_key(self) -> str:
        return f"{FRAME}{self.head.id}"

    async def show_action(self, action: str) -> None:
        """Show that VIVA is "typing", "record_voice", "upload_photo" ... for five seconds."""
        await self._frames.action(self.chat_id, action)
