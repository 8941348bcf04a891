"""The chat page and its own API: history, a stream of events, and what a person does in the chat."""

from __future__ import annotations

import asyncio
import hmac
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from bot.playground import methods
from bot.playground.chats import LARGEST_FILE, Json, Person, Refused, bad_request

if TYPE_CHECKING:
    from bot.playground.telegram import TelegramServer

FOLDER = Path(__file__).parent / "page"
POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; style-src 'self'; script-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ogg": "audio/ogg",
}
SHOWN_KINDS = ("photo", "voice", "audio", "video", "video_note", "sticker")
UPLOAD_KINDS = ("voice", "photo", "document", "video_note", "audio", "video", "sticker")
HEARTBEAT_SECONDS = 15


def protect(response: web.StreamResponse) -> None:
    """Give an answer the headers that keep other sites and uploaded files away from the page."""
    response.headers.setdefault("Content-Security-Policy", POLICY)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    response.headers.setdefault("Cache-Control", "no-store")


def add_routes(app: web.Application, server: TelegramServer) -> None:
    """Serve the page under `/` and its API under `/page`."""
    page = _Page(server)
    chat = "/page/chats/{person:\\d+}"
    app.add_routes(
        [
            web.get("/", page.index),
            web.get("/{name:[A-Za-z0-9_-]+\\.[a-z0-9]+}", page.static),
            web.get("/page/people", page.people),
            web.post("/page/people", page.add_person),
            web.get("/page/bot", page.bot),
            web.get(chat + "/history", page.history),
            web.get(chat + "/events", page.events),
            web.post(chat + "/messages", page.send_text),
            web.post(chat + "/uploads", page.send_upload),
            web.post(chat + "/callbacks", page.tap),
            web.post(chat + "/stop", page.stop_draft),
            web.post(chat + "/payments", page.pay),
            web.get(chat + "/invoice", page.invoice),
            web.get(chat + "/subscriptions", page.subscriptions),
            web.post(chat + "/subscriptions", page.change_subscription),
            web.post(chat + "/poll", page.send_poll),
            web.post(chat + "/location", page.send_location),
            web.post(chat + "/block", page.block),
            web.post("/page/reset", page.reset),
            web.get("/page/files/{file_id}", page.download),
        ]
    )


class _Page:
    def __init__(self, server: TelegramServer) -> None:
        self._server = server

    async def index(self, _request: web.Request) -> web.StreamResponse:
        return _static("index.html")

    async def static(self, request: web.Request) -> web.StreamResponse:
        return _static(request.match_info["name"])

    async def people(self, request: web.Request) -> web.StreamResponse:
        self._check_key(request)
        return web.json_response([_described(person) for person in self._server.chats.people.values()])

    async def add_person(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        first_name = _text(body, "first_name").strip()
        if not 1 <= len(first_name) <= 64:
            raise bad_request("a name has 1 to 64 characters")
        language = body.get("language_code")
        person = self._server.person(
            first_name=first_name, language_code=language if isinstance(language, str) else "en"
        )
        return web.json_response(_described(person))

    async def bot(self, request: web.Request) -> web.StreamResponse:
        self._check_key(request)
        settings = self._server.chats.settings
        language = request.query.get("language", "")
        described = settings.get(f"description {language}") or settings.get("description ") or ""
        name = settings.get(f"name {language}") or settings.get("name ") or self._server.bot["first_name"]
        return web.json_response(
            {
                "first_name": name,
                "username": self._server.bot["username"],
                "description": described,
                "commands": methods.commands_for(self._server.chats, language),
                "model": self._server.model_label,
            }
        )

    async def history(self, request: web.Request) -> web.StreamResponse:
        person = self._person(request)
        chats = self._server.chats
        return web.json_response(
            {
                "events": chats.history(person.id),
                "last": chats.chat(person.id).last_event,
                "blocked": chats.chat(person.id).blocked,
            }
        )

    async def events(self, request: web.Request) -> web.StreamResponse:
        person = self._person(request)
        chats = self._server.chats
        given = request.headers.get("Last-Event-ID") or request.query.get("after") or "0"
        if not (given.isascii() and given.isdigit()):
            raise bad_request("after must be a number")
        number = int(given)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        protect(response)
        await response.prepare(request)
        await response.write(b"retry: 1000\n\n")
        loop = asyncio.get_running_loop()
        silent_until = loop.time() + HEARTBEAT_SECONDS
        try:
            while not self._server.stopping:
                for n, event in chats.events_after(person.id, number):
                    number = n
                    await response.write(f"id: {n}\ndata: {json.dumps(event)}\n\n".encode())
                    silent_until = loop.time() + HEARTBEAT_SECONDS
                if chats.chat(person.id).last_event > number:
                    continue
                if loop.time() >= silent_until:
                    await response.write(b": still here\n\n")
                    silent_until = loop.time() + HEARTBEAT_SECONDS
                await chats.wait_for_change(silent_until - loop.time())
        except ConnectionResetError:
            pass
        return response

    async def send_text(self, request: web.Request) -> web.StreamResponse:
        person, body = self._person(request), await self._body(request)
        reply_to = body.get("reply_to_message_id")
        if reply_to is not None and not isinstance(reply_to, int):
            raise bad_request("reply_to_message_id must be a number")
        message = await self._server.send_text(person, _text(body, "text"), reply_to=reply_to)
        return web.json_response({"message": message})

    async def send_upload(self, request: web.Request) -> web.StreamResponse:
        person = self._person(request)
        try:
            form = await request.post()
        except web.HTTPRequestEntityTooLarge:
            raise Refused(413, "Request Entity Too Large") from None
        except ValueError:
            raise bad_request("can't parse the request") from None
        uploads, kind, caption = form.getall("file", []), form.get("kind"), str(form.get("caption", ""))
        files = [upload for upload in uploads if isinstance(upload, web.FileField)]
        if not files:
            raise bad_request("file is missing")
        if kind not in UPLOAD_KINDS:
            raise bad_request(f"kind must be one of {', '.join(UPLOAD_KINDS)}")
        contents = [upload.file.read() for upload in files]
        if any(len(content) > LARGEST_FILE for content in contents):
            raise Refused(413, "Request Entity Too Large")
        reply = form.get("reply_to_message_id")
        if reply is not None and not str(reply).isdecimal():
            raise bad_request("reply_to_message_id must be a number")
        reply_to = int(str(reply)) if reply is not None else None
        if len(files) > 1:
            messages = await self._server.send_album(
                person, contents, kind=str(kind), caption=caption, reply_to=reply_to
            )
            return web.json_response({"messages": messages})
        (upload,), (content,) = files, contents
        message = await self._server.send_file(
            person,
            str(kind),
            content,
            name=upload.filename,
            mime=upload.content_type,
            caption=caption,
            reply_to=reply_to,
        )
        return web.json_response({"message": message})

    async def tap(self, request: web.Request) -> web.StreamResponse:
        person, body = self._person(request), await self._body(request)
        message_id = _number(body, "message_id")
        query_id = await self._server.tap_data(person, message_id, _text(body, "data"))
        return web.json_response({"callback_query_id": query_id})

    async def pay(self, request: web.Request) -> web.StreamResponse:
        person, body = self._person(request), await self._body(request)
        if "link" in body:
            message = await self._server.pay_link(person, _text(body, "link"))
        else:
            message = await self._server.pay(person, _number(body, "message_id"))
        return web.json_response({"message": message})

    async def invoice(self, request: web.Request) -> web.StreamResponse:
        self._person(request)
        return web.json_response({"invoice": self._server.invoice_behind(request.query.get("link", ""))})

    async def subscriptions(self, request: web.Request) -> web.StreamResponse:
        person = self._person(request)
        every = self._server.chats.subscriptions.items()
        theirs = [{"id": name, **one} for name, one in every if one["user"] == person.id]
        return web.json_response({"subscriptions": theirs})

    async def change_subscription(self, request: web.Request) -> web.StreamResponse:
        person, body = self._person(request), await self._body(request)
        verbs = {
            "renew": self._server.renew,
            "fail": self._server.fail_renewal,
            "end": self._server.end_subscription,
            "resume": self._server.resume_subscription,
        }
        verb = verbs.get(_text(body, "do"))
        if verb is None:
            raise bad_request(f"do must be one of {', '.join(verbs)}")
        await verb(person, _text(body, "id"))
        return web.json_response({})

    async def stop_draft(self, request: web.Request) -> web.StreamResponse:
        person, body = self._person(request), await self._body(request)
        await self._server.stop_draft(person, _number(body, "draft_id"))
        return web.json_response({})

    async def send_poll(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"message": await self._server.send_poll(self._person(request))})

    async def send_location(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"message": await self._server.send_location(self._person(request))})

    async def block(self, request: web.Request) -> web.StreamResponse:
        person, body = self._person(request), await self._body(request)
        await self._server.block(person, blocked=body.get("blocked") is True)
        return web.json_response({})

    async def reset(self, request: web.Request) -> web.StreamResponse:
        self._check_key(request)
        self._server.chats.reset()
        return web.json_response({})

    async def download(self, request: web.Request) -> web.StreamResponse:
        self._check_key(request)
        stored = self._server.chats.files.get(request.match_info["file_id"])
        if stored is None:
            raise Refused(404, "Not Found")
        shown = stored.kind in SHOWN_KINDS and stored.mime.startswith(("image/", "audio/", "video/"))
        # A document could be a page or a script; it is only ever saved, never run.
        headers = {
            "Content-Type": stored.mime if shown and "svg" not in stored.mime else "application/octet-stream",
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "Cache-Control": "private, max-age=3600",
        }
        if not shown:
            headers["Content-Disposition"] = "attachment"
        return web.FileResponse(self._server.chats.blob(stored), headers=headers)

    def _check_key(self, request: web.Request) -> None:
        given = request.headers.get("X-Page-Key") or request.query.get("key") or ""
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self._server.page_key.encode()):
            raise Refused(403, "Forbidden: wrong page key")

    def _person(self, request: web.Request) -> Person:
        self._check_key(request)
        return self._server.chats.person(int(request.match_info["person"]))

    async def _body(self, request: web.Request) -> Json:
        self._check_key(request)
        try:
            body = await request.json()
        except ValueError:
            raise bad_request("can't parse JSON object") from None
        if not isinstance(body, dict):
            raise bad_request("JSON object expected")
        return body


def _static(name: str) -> web.StreamResponse:
    kept = {path.name: path for path in FOLDER.iterdir() if path.is_file()} if FOLDER.is_dir() else {}
    if name not in kept or kept[name].suffix not in TYPES:
        raise Refused(404, "Not Found")
    return web.FileResponse(kept[name], headers={"Content-Type": TYPES[kept[name].suffix]})


def _described(person: Person) -> Json:
    return {name: value for name, value in person.as_user().items() if name != "is_bot"}


def _text(body: Json, name: str) -> str:
    value: Any = body.get(name)
    if not isinstance(value, str):
        raise bad_request(f"{name} must be a text")
    return value


def _number(body: Json, name: str) -> int:
    value: Any = body.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise bad_request(f"{name} must be a number")
    return value
