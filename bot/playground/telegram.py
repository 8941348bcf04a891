"""A Bot API server on this machine: the bot talks to it as to Telegram, and people talk to the bot through it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hmac
import json
import logging
import re
import secrets
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from bot.playground import attachments, entities, markup, methods, pages, parameters, payments
from bot.playground.chats import LARGEST_FILE, Chats, Json, Person, Refused, bad_request
from bot.playground.parameters import Parameters

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
PORTS_TRIED = 50
LONGEST_POLL = 50
MOST_UPDATES = 100
WEBHOOK_PORTS = (443, 80, 88, 8443)
WEBHOOK_SECONDS = 60
FIRST_PEOPLE = (("Maya", "maya", "en"), ("Tom", "tom", "en"), ("Irina", "irina", "ru"))

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class _Fault:
    method: str
    times: int
    refusal: Refused | None = None
    done_first: bool = False


class Held:
    """Calls of one method that the server has read and does not answer until they are released."""

    def __init__(self) -> None:
        self._requests: list[web.Request] = []
        self._gate = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many wait, whose client has not gone away."""
        return sum(one.transport is not None and not one.transport.is_closing() for one in self._requests)

    def release(self) -> None:
        """Answer them, and those that come from now on."""
        self._gate.set()

    async def wait(self, request: web.Request) -> None:
        """Wait with this call until all are released."""
        self._requests.append(request)
        await self._gate.wait()
        self._requests.remove(request)


class TelegramServer:
    """The server, and the people who write to the bot; `folder` keeps everything over restarts.

    The verbs of the people (`send_text`, `tap`, ...) are what the chat page does; tests use them directly.
    """

    def __init__(
        self,
        folder: Path,
        *,
        token: str,
        bot_name: str = "VIVA",
        model_label: str = "stand-in",
        now: Callable[[], float] = time.time,
    ) -> None:
        self.model_label = model_label
        self.chats = Chats(folder, now=now)
        self.bot: Json = {
            "id": int(token.partition(":")[0]),
            "is_bot": True,
            "first_name": bot_name,
            "username": "viva_playground_bot",
        }
        if "page_key" not in self.chats.settings:
            self.chats.set("page_key", secrets.token_urlsafe(24))
        self.page_key: str = self.chats.settings["page_key"]
        self.port = 0
        self._token = token
        self._methods = methods.Methods(self.chats, bot=self.bot)
        self._methods.by_name |= {
            "getupdates": self._get_updates,
            "setwebhook": self._set_webhook,
            "deletewebhook": self._delete_webhook,
            "getwebhookinfo": self._get_webhook_info,
        }
        self._faults: list[_Fault] = []
        self._held: dict[str, Held] = {}
        self._poll = 0
        self._runner: web.AppRunner | None = None
        self._delivery: asyncio.Task[None] | None = None
        self._webhook_trouble: Json = {}
        self.stopping = False
        if not self.chats.people:
            for first_name, username, language_code in FIRST_PEOPLE:
                self.chats.add_person(first_name=first_name, username=username, language_code=language_code)

    @property
    def url(self) -> str:
        """Where the Bot API is."""
        return f"http://{HOST}:{self.port}"

    @property
    def page_url(self) -> str:
        """Where the chat page is, with its key."""
        return f"{self.url}/?key={self.page_key}"

    async def start(self, *, port: int = 0) -> None:
        """Listen on this machine only; a busy port gives way to the next free one, 0 takes any."""
        app = web.Application(client_max_size=LARGEST_FILE + 1024 * 1024, middlewares=[self._guard])
        app.router.add_route("*", "/bot{token}/{method}", self._answer_call)
        app.router.add_get("/file/bot{token}/{path:.+}", self._answer_download)
        pages.add_routes(app, self)
        # The access log would hold the bot's token and the page's key.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=2)
        await self._runner.setup()
        for candidate in range(port, min(port + PORTS_TRIED, 65_536) if port else 1):
            try:
                await web.TCPSite(self._runner, HOST, candidate).start()
                break
            except OSError as error:
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise
        if not self._runner.addresses:
            raise OSError(errno.EADDRINUSE, f"no free port from {port} on")
        self.port = self._runner.addresses[0][1]
        self._delivery = asyncio.create_task(self._deliver())

    async def stop(self) -> None:
        """Stop listening and let go of the folder."""
        self.stopping = True
        self.chats.touch()
        if self._delivery is not None:
            self._delivery.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._delivery
        if self._runner is not None:
            await self._runner.cleanup()
        self.chats.close()

    def fail_next(
        self,
        method: str,
        error_code: int,
        description: str,
        *,
        retry_after: int | None = None,
        times: int = 1,
    ) -> None:
        """Answer the next `times` calls of a method with this error instead of doing anything."""
        refusal = Refused(error_code, description, retry_after=retry_after)
        self._faults.append(_Fault(method.lower(), times, refusal))

    def cut_next(self, method: str, *, done_first: bool, times: int = 1) -> None:
        """Break the connection of the next `times` calls of a method, after doing what they ask if `done_first`."""
        self._faults.append(_Fault(method.lower(), times, done_first=done_first))

    def hold(self, method: str) -> Held:
        """From now on, leave each call of a method without an answer until it is released."""
        return self._held.setdefault(method.lower(), Held())

    # What people do

    def person(self, *, first_name: str = "Maya", username: str | None = None, language_code: str = "en") -> Person:
        """A new person; the bot can write to them once they have written to it."""
        return self.chats.add_person(first_name=first_name, username=username, language_code=language_code)

    async def send_text(self, person: Person, text: str, *, reply_to: int | None = None) -> Json:
        """The message a person has sent to the bot."""
        return self._say(person, self._words(text), reply_to=reply_to)

    async def send_voice(self, person: Person, data: bytes, *, caption: str = "", reply_to: int | None = None) -> Json:
        """The voice message sent; any recording becomes OGG/Opus mono."""
        return self._say(person, await attachments.keep_recording(self.chats, data), caption=caption, reply_to=reply_to)

    async def send_photo(self, person: Person, data: bytes, *, caption: str = "", reply_to: int | None = None) -> Json:
        """The photo message sent; the picture is made smaller and loses its EXIF data."""
        return await self.send_file(person, "photo", data, caption=caption, reply_to=reply_to)

    async def send_album(
        self,
        person: Person,
        files: list[bytes],
        *,
        kind: str = "photo",
        caption: str = "",
        reply_to: int | None = None,
    ) -> list[Json]:
        """The messages of an album of 2 to 10 photos or videos; the caption stands under the first."""
        if kind not in ("photo", "video") or not 2 <= len(files) <= methods.MOST_IN_ALBUM:
            raise bad_request(f"an album has 2 to {methods.MOST_IN_ALBUM} photos or videos")
        contents = [await attachments.keep(self.chats, kind, data) for data in files]
        album = self.chats.new_file_id()[-18:]
        return [
            self._say(
                person, {"media_group_id": album, **content}, caption="" if number else caption, reply_to=reply_to
            )
            for number, content in enumerate(contents)
        ]

    async def send_document(
        self, person: Person, data: bytes, *, name: str = "file", mime: str = "", caption: str = ""
    ) -> Json:
        """The document sent, its bytes untouched."""
        return await self.send_file(person, "document", data, name=name, mime=mime, caption=caption)

    async def send_sticker(self, person: Person, *, emoji: str = "🙂") -> Json:
        """The sticker sent."""
        # The smallest WebP there is: one transparent pixel.
        webp = bytes.fromhex("524946461a000000574542505650384c0d0000002f00000010071011118888fe0700")
        return self._say(person, await attachments.keep(self.chats, "sticker", webp, details={"emoji": emoji}))

    async def send_file(
        self,
        person: Person,
        kind: str,
        data: bytes,
        *,
        name: str = "file",
        mime: str = "",
        caption: str = "",
        reply_to: int | None = None,
    ) -> Json:
        """The message sent with a file of `kind`: voice, photo, document, audio, video, video_note, sticker."""
        if kind == "voice":
            return await self.send_voice(person, data, caption=caption, reply_to=reply_to)
        content = await attachments.keep(self.chats, kind, data, name=name, mime=mime)
        return self._say(person, content, caption=caption, reply_to=reply_to)

    async def send_poll(
        self, person: Person, *, question: str = "Tea or coffee?", options: tuple[str, ...] = ("Tea", "Coffee")
    ) -> Json:
        """The poll sent."""
        poll = {
            "id": str(secrets.randbelow(2**60)),
            "question": question,
            "options": [
                {"persistent_id": str(number), "text": option, "voter_count": 0}
                for number, option in enumerate(options)
            ],
            "total_voter_count": 0,
            "is_closed": False,
            "is_anonymous": True,
            "type": "regular",
            "allows_multiple_answers": False,
            "allows_revoting": False,
            "members_only": False,
        }
        return self._say(person, {"poll": poll})

    async def send_location(self, person: Person, *, latitude: float = 51.4779, longitude: float = -0.0015) -> Json:
        """The place sent."""
        return self._say(person, {"location": {"latitude": latitude, "longitude": longitude}})

    async def send_contact(self, person: Person, *, phone_number: str = "+44 7700 900000") -> Json:
        """The contact sent: the person's own."""
        contact = {"phone_number": phone_number, "first_name": person.first_name, "user_id": person.id}
        return self._say(person, {"contact": contact})

    async def send_group_text(self, person: Person, text: str, *, group: int | None = None) -> Json:
        """The message a person has written in a group with the bot, a new one unless `group` is its id."""
        chat_id = self.chats.add_group(title="A group") if group is None else group
        message = self.chats.add_message(chat_id, person.as_user(), self._words(text))
        self.chats.add_update("message", message)
        return message

    async def edit_text(self, person: Person, message_id: int, text: str) -> Json:
        """The person's message with its words changed."""
        message = self._message(person, message_id)
        if message["from"]["id"] != person.id or "text" not in message:
            raise bad_request("message can't be edited")
        kept = {name: value for name, value in message.items() if name != "entities"}
        edited = {**kept, **self._words(text), "edit_date": int(self.chats.now())}
        self.chats.replace_message(person.id, edited)
        self.chats.add_update("edited_message", edited)
        return edited

    async def tap(self, person: Person, message_id: int, choice: str) -> str:
        """The callback_query_id of a tap on the button with this text or callback data; ValueError without one."""
        for button in markup.buttons(self._message(person, message_id)):
            if "callback_data" in button and choice in (button["callback_data"], button["text"]):
                return await self.tap_data(person, message_id, button["callback_data"])
        raise ValueError(f"message {message_id} has no button {choice!r}")

    async def tap_data(self, person: Person, message_id: int, data: str) -> str:
        """The callback_query_id of a tap with any data, as an old keyboard or a changed client sends it."""
        chat = self.chats.chat(person.id)
        if not 1 <= message_id <= chat.last_message_id:
            raise bad_request("message not found")
        gone = {"chat": chat.described, "message_id": message_id, "date": 0}
        query_id = self.chats.add_query(person.id, message_id)
        query = {
            "id": query_id,
            "from": person.as_user(),
            "message": chat.messages.get(message_id, gone),
            "chat_instance": str(-person.id * 7_919),
            "data": data,
        }
        self.chats.add_update("callback_query", query)
        return query_id

    async def stop_draft(self, person: Person, draft_id: int) -> None:
        """Press Stop under a message being written; raises Refused when there is none to stop."""
        draft = self.chats.draft(person.id)
        if draft is None or draft.draft_id != draft_id or not draft.can_stop:
            raise bad_request("draft not found")
        if not draft.keep_on_stop:
            self.chats.hide_draft(person.id)
        chat = self.chats.chat(person.id).described
        self.chats.add_update("stopped_message_generation", {"chat": chat, "draft_id": draft_id})

    async def pay(self, person: Person, message_id: int) -> Json:
        """The successful_payment message of an invoice, paid with test Stars; raises Refused with the bot's reason."""
        message = self._message(person, message_id)
        payload = self.chats.invoices.get((person.id, message_id))
        if payload is None:
            raise bad_request("INVOICE_INVALID")
        stars = message["invoice"]["total_amount"]
        answer = await self.ask_to_pay(person, stars=stars, payload=payload)
        if not answer["ok"]:
            raise bad_request(answer["error_message"])
        return await self.send_payment(person, stars=stars, payload=payload)

    def invoice_behind(self, address: str) -> Json:
        """What an invoice link shows, with `period` where it is a subscription; raises Refused without one."""
        link = self.chats.invoice_links.get(address.removeprefix(payments.LINK))
        if link is None:
            raise bad_request("SLUG_INVALID")
        return {**link["invoice"], "period": link["period"]}

    async def pay_link(self, person: Person, address: str) -> Json:
        """The successful_payment message of an invoice link, paid with test Stars; raises Refused with the reason."""
        invoice = self.invoice_behind(address)
        payload = self.chats.invoice_links[address.removeprefix(payments.LINK)]["payload"]
        stars = invoice["total_amount"]
        answer = await self.ask_to_pay(person, stars=stars, payload=payload)
        if not answer["ok"]:
            raise bad_request(answer["error_message"])
        if invoice["period"] is None:
            return await self.send_payment(person, stars=stars, payload=payload)
        charge_id = self.chats.add_payment(person.id, stars=stars, payload=payload, subscription=True)
        self.chats.add_subscription(charge_id, until=int(self.chats.now()) + invoice["period"])
        return self._tell_payment(
            person, charge_id, payments.recurring(self.chats.subscriptions[charge_id], first=True)
        )

    async def renew(self, person: Person, charge_id: str) -> Json:
        """The successful_payment message of the next month of a subscription, named by its first payment."""
        subscription = self._subscription(person, charge_id)
        if subscription["canceled"]:
            raise bad_request("SUBSCRIPTION_CANCELED")
        until = max(subscription["until"], int(self.chats.now())) + payments.SUBSCRIPTION_SECONDS
        self.chats.change_subscription(charge_id, until=until)
        stars, payload = subscription["stars"], subscription["payload"]
        renewed = self.chats.add_payment(person.id, stars=stars, payload=payload, subscription=True)
        return self._tell_payment(person, renewed, payments.recurring(self.chats.subscriptions[charge_id], first=False))

    async def fail_renewal(self, person: Person, charge_id: str) -> None:
        """Let the next payment of a subscription find too few Stars."""
        self._tell_subscription(person, self._subscription(person, charge_id), "failed")

    async def end_subscription(self, person: Person, charge_id: str) -> None:
        """Let the person cancel a subscription in Telegram's settings."""
        subscription = self._subscription(person, charge_id)
        if subscription["canceled"]:
            raise bad_request("SUBSCRIPTION_CANCELED")
        self.chats.change_subscription(charge_id, canceled=True)
        self._tell_subscription(person, subscription, "canceled")

    async def resume_subscription(self, person: Person, charge_id: str) -> None:
        """Let the person turn a canceled subscription on again; refused where the bot canceled it."""
        subscription = self._subscription(person, charge_id)
        if not subscription["canceled"] or subscription["bot_canceled"]:
            raise bad_request("SUBSCRIPTION_NOT_ALLOWED")
        self.chats.change_subscription(charge_id, canceled=False)
        self._tell_subscription(person, subscription, "active")

    def _subscription(self, person: Person, charge_id: str) -> Json:
        subscription = self.chats.subscriptions.get(charge_id)
        if subscription is None or subscription["user"] != person.id:
            raise bad_request("CHARGE_ID_INVALID")
        return subscription

    def _tell_subscription(self, person: Person, subscription: Json, state: str) -> None:
        event = {"user": person.as_user(), "invoice_payload": subscription["payload"], "state": state}
        self.chats.add_update("subscription", event)

    async def ask_to_pay(self, person: Person, *, stars: int, payload: str, currency: str = "XTR") -> Json:
        """The bot's answer to a pre-checkout query; raises Refused when none comes in ten seconds.

        With another price or payload than an invoice has, it is what Telegram itself would never send.
        """
        query_id = self.chats.open_checkout()
        asked = {"currency": currency, "total_amount": stars, "invoice_payload": payload}
        self.chats.add_update("pre_checkout_query", {"id": query_id, "from": person.as_user(), **asked})
        checkout = self.chats.checkouts[query_id]
        try:
            while checkout.answer is None:
                left = checkout.ends - self.chats.now()
                if left <= 0:
                    raise bad_request("BOT_PRECHECKOUT_TIMEOUT")
                await self.chats.wait_for_change(left)
            return checkout.answer
        finally:
            self.chats.checkouts.pop(query_id, None)

    async def send_payment(self, person: Person, *, stars: int, payload: str) -> Json:
        """The successful_payment message of a payment that went through."""
        return self._tell_payment(person, self.chats.add_payment(person.id, stars=stars, payload=payload), {})

    def _tell_payment(self, person: Person, charge_id: str, besides: Json) -> Json:
        paid = {
            **payments.told(self.chats.payments[charge_id]),
            **besides,
            "telegram_payment_charge_id": charge_id,
            "provider_payment_charge_id": "test-stars",
        }
        message = self.chats.add_message(person.id, person.as_user(), {"successful_payment": paid})
        self.chats.add_update("message", message)
        return message

    async def block(self, person: Person, *, blocked: bool = True) -> None:
        """Let the person block the bot, or unblock it with `blocked=False`."""
        chat = self.chats.chat(person.id)
        if chat.blocked == blocked:
            return
        self.chats.set_blocked(person.id, blocked)
        member: Json = {"status": "member", "user": self.bot}
        kicked: Json = {"status": "kicked", "user": self.bot, "until_date": 0}
        change = {
            "chat": chat.described,
            "from": person.as_user(),
            "date": int(self.chats.now()),
            "old_chat_member": member if blocked else kicked,
            "new_chat_member": kicked if blocked else member,
        }
        self.chats.add_update("my_chat_member", change)

    # What people see

    def messages(self, person: Person) -> list[Json]:
        """The messages of the private chat as they stand, oldest first."""
        return list(self.chats.chat(person.id).messages.values())

    def events(self, person: Person) -> list[Json]:
        """What the page was told about the chat, oldest first: messages, drafts, actions, answers to taps."""
        return [event for _, event in self.chats.chat(person.id).events]

    def drafts(self, person: Person) -> list[Json]:
        """The frames of messages being written, oldest first."""
        return [event for event in self.events(person) if event["type"] == "draft"]

    def actions(self, person: Person) -> list[str]:
        """The chat actions shown, oldest first."""
        return [event["action"] for event in self.events(person) if event["type"] == "action"]

    async def wait_for(
        self,
        person: Person,
        predicate: Callable[[Json], bool] = lambda message: True,
        *,
        after: int = 0,
        timeout: float = 10,  # noqa: ASYNC109 - a wait that ends with TimeoutError
    ) -> Json:
        """The bot's newest message with an id over `after` that fits; raises TimeoutError after `timeout` seconds."""

        def found() -> Json | None:
            for message in reversed(self.messages(person)):
                if message["from"]["is_bot"] and message["message_id"] > after and predicate(message):
                    return message
            return None

        return await self._wait(found, timeout, "no such message from the bot")

    async def wait_for_event(
        self,
        person: Person,
        predicate: Callable[[Json], bool],
        *,
        timeout: float = 10,  # noqa: ASYNC109 - a wait that ends with TimeoutError
    ) -> Json:
        """The newest event of the chat that fits; raises TimeoutError after `timeout` seconds."""
        return await self._wait(
            lambda: next((event for event in reversed(self.events(person)) if predicate(event)), None),
            timeout,
            "no such event in the chat",
        )

    async def wait_for_answer(
        self,
        person: Person,
        query_id: str,
        *,
        timeout: float = 10,  # noqa: ASYNC109 - a wait that ends with TimeoutError
    ) -> Json:
        """The bot's answer to a tap: `text` and `show_alert`; raises TimeoutError after `timeout` seconds."""
        return await self.wait_for_event(
            person, lambda event: event.get("callback_query_id") == query_id, timeout=timeout
        )

    async def _wait(self, found: Callable[[], Json | None], seconds: float, missing: str) -> Json:
        until = time.monotonic() + seconds
        while True:
            result = found()
            if result is not None:
                return result
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{missing} in {seconds} s")
            await self.chats.wait_for_change(left)

    def _words(self, text: str) -> Json:
        text, found = entities.read(text, parse_mode=None, entities=None)
        if not text:
            raise bad_request("message text is empty")
        if entities.length(text) > methods.LONGEST_TEXT:
            raise bad_request("message is too long")
        return {"text": text, "entities": found} if found else {"text": text}

    def _message(self, person: Person, message_id: int) -> Json:
        message = self.chats.chat(person.id).messages.get(message_id)
        if message is None:
            raise bad_request("message not found")
        return message

    def _say(self, person: Person, content: Json, *, caption: str = "", reply_to: int | None = None) -> Json:
        if self.chats.chat(person.id).blocked:
            raise Refused(403, "Forbidden: unblock the bot first")
        if reply_to is not None:
            replied = self._message(person, reply_to)
            shown = {name: value for name, value in replied.items() if name != "reply_to_message"}
            content = {"reply_to_message": shown, **content}
        if caption.strip():
            text, found = entities.read(caption, parse_mode=None, entities=None)
            if entities.length(text) > methods.LONGEST_CAPTION:
                raise bad_request("message caption is too long")
            content = {**content, "caption": text, **({"caption_entities": found} if found else {})}
        message = self.chats.add_message(person.id, person.as_user(), content)
        self.chats.add_update("message", message)
        return message

    # Doors

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        hosts = (f"{HOST}:{self.port}", f"localhost:{self.port}")
        origin = request.headers.get("Origin")
        if request.host not in hosts:
            return _failure(Refused(403, "Forbidden: wrong host"))
        if origin is not None and origin not in [f"http://{host}" for host in hosts]:
            return _failure(Refused(403, "Forbidden: wrong origin"))
        try:
            response = await handler(request)
        except Refused as refusal:
            response = _failure(refusal)
        except web.HTTPException as error:
            response = _failure(Refused(error.status, error.reason))
        except ConnectionError:
            raise
        except Exception as error:
            # Its message could hold somebody's words.
            log.error("The Bot API server failed with %s in %s", type(error).__name__, _place(error))
            response = _failure(Refused(500, "Internal Server Error"))
        if not response.prepared:
            pages.protect(response)
        return response

    async def _answer_call(self, request: web.Request) -> web.StreamResponse:
        self._check_token(request)
        name = request.match_info["method"].lower()
        call = await parameters.read(request)
        fault = self._fault(name)
        if fault is not None and fault.refusal is not None:
            raise fault.refusal
        method = self._methods.by_name.get(name)
        if method is None:
            raise Refused(404, "Not Found: method not found")
        if (held := self._held.get(name)) is not None:
            await held.wait(request)
        result = await method(call) if fault is None or fault.done_first else None
        if fault is not None and request.transport is not None:
            request.transport.abort()
        return web.json_response({"ok": True, "result": result})

    async def _answer_download(self, request: web.Request) -> web.StreamResponse:
        self._check_token(request)
        stored = self.chats.file_at(request.match_info["path"])
        if stored is None or stored.size > methods.LARGEST_DOWNLOAD:
            raise Refused(404, "Not Found")
        return web.FileResponse(self.chats.blob(stored), headers={"Content-Type": "application/octet-stream"})

    def _check_token(self, request: web.Request) -> None:
        given = request.match_info["token"].encode("utf-8", "replace")
        if not hmac.compare_digest(given, self._token.encode()):
            raise Refused(401, "Unauthorized")

    def _fault(self, method: str) -> _Fault | None:
        for fault in self._faults:
            if fault.method == method:
                fault.times -= 1
                if fault.times <= 0:
                    self._faults.remove(fault)
                return fault
        return None

    # How updates reach the bot

    async def _get_updates(self, call: Parameters) -> list[Json]:
        if self.chats.settings.get("webhook"):
            raise Refused(
                409,
                "Conflict: can't use getUpdates method while webhook is active; "
                "use deleteWebhook to delete the webhook first",
            )
        self._poll += 1
        poll = self._poll
        self.chats.touch()
        self._remember_allowed(call)
        offset = call.integer("offset") or 0
        if offset > 0:
            self.chats.confirm_updates(offset)
        elif offset < 0:
            self.chats.confirm_updates(([0, *sorted(self.chats.updates)][offset:])[0])
        given = call.integer("limit")
        limit = min(max(MOST_UPDATES if given is None else given, 1), MOST_UPDATES)
        seconds = min(max(call.integer("timeout") or 0, 0), LONGEST_POLL)
        until = time.monotonic() + seconds
        while True:
            if self.chats.settings.get("webhook"):
                raise Refused(409, "Conflict: terminated by setWebhook request")
            if poll != self._poll:
                raise Refused(
                    409,
                    "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
                )
            waiting = [self.chats.updates[number] for number in sorted(self.chats.updates)]
            left = until - time.monotonic()
            if waiting or left <= 0 or self.stopping:
                return waiting[:limit]
            await self.chats.wait_for_change(left)

    async def _set_webhook(self, call: Parameters) -> bool:
        url = call.text("url").strip()
        if url:
            _check_webhook(url)
        secret = call.text("secret_token")
        if secret and not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", secret):
            raise bad_request("secret token contains unallowed characters")
        self._remember_allowed(call)
        if call.boolean("drop_pending_updates"):
            self._drop_updates()
        self._webhook_trouble = {}
        connections = call.integer("max_connections") or 40
        self.chats.set("webhook", {"url": url, "secret": secret, "max_connections": connections} if url else None)
        return True

    async def _delete_webhook(self, call: Parameters) -> bool:
        if call.boolean("drop_pending_updates"):
            self._drop_updates()
        self.chats.set("webhook", None)
        return True

    async def _get_webhook_info(self, _call: Parameters) -> Json:
        webhook = self.chats.settings.get("webhook")
        pending = {"has_custom_certificate": False, "pending_update_count": len(self.chats.updates)}
        allowed = self.chats.settings.get("allowed_updates")
        told = {"allowed_updates": allowed} if allowed else {}
        if not webhook:
            return {"url": "", **pending, **told}
        return {
            "url": webhook["url"],
            "max_connections": webhook["max_connections"],
            **pending,
            **told,
            **self._webhook_trouble,
        }

    def _remember_allowed(self, call: Parameters) -> None:
        allowed = call.structure("allowed_updates")
        if allowed is None:
            return
        if not isinstance(allowed, list) or not all(isinstance(kind, str) for kind in allowed):
            raise bad_request("can't parse allowed updates: expected an Array of String")
        self.chats.set("allowed_updates", allowed)

    def _drop_updates(self) -> None:
        self.chats.confirm_updates(max(self.chats.updates, default=0) + 1)

    async def _deliver(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=WEBHOOK_SECONDS)) as session:
            failures = 0
            while True:
                webhook = self.chats.settings.get("webhook")
                number = min(self.chats.updates, default=None)
                if not webhook or number is None:
                    await self.chats.wait_for_change(3600)
                    continue
                trouble = await self._post(session, webhook, self.chats.updates[number])
                if trouble is None:
                    failures = 0
                    self._webhook_trouble = {}
                    self.chats.confirm_updates(number + 1)
                else:
                    failures += 1
                    self._webhook_trouble = {
                        "last_error_date": int(self.chats.now()),
                        "last_error_message": trouble,
                    }
                    await asyncio.sleep(min(0.1 * 2**failures, 10))

    async def _post(self, session: aiohttp.ClientSession, webhook: Json, update: Json) -> str | None:
        headers = {"Content-Type": "application/json"}
        if webhook["secret"]:
            headers["X-Telegram-Bot-Api-Secret-Token"] = webhook["secret"]
        try:
            async with session.post(
                webhook["url"], data=json.dumps(update), headers=headers, allow_redirects=False
            ) as answer:
                await answer.read()
                if 200 <= answer.status < 300:
                    return None
                return f"Wrong response from the webhook: {answer.status} {answer.reason}"
        except TimeoutError:
            return "Read timeout expired"
        except (aiohttp.ClientError, OSError):
            return "Connection refused"


def _check_webhook(url: str) -> None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise bad_request("bad webhook: invalid URL specified") from None
    here = parts.hostname in ("127.0.0.1", "localhost", "::1")
    if parts.scheme != "https" and not (parts.scheme == "http" and here):
        raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
    if not parts.hostname:
        raise bad_request("bad webhook: invalid URL specified")
    if not here and (port or 443) not in WEBHOOK_PORTS:
        raise bad_request("bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443")


def _place(error: BaseException) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{last.filename}:{last.lineno}"


def _failure(refusal: Refused) -> web.Response:
    answer: dict[str, Any] = {
        "ok": False,
        "error_code": refusal.code,
        "description": refusal.description,
    }
    if refusal.retry_after is not None:
        answer["parameters"] = {"retry_after": refusal.retry_after}
    return web.json_response(answer, status=refusal.code)
