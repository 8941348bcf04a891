"""What a call to the Bot API carries, read from JSON, a form or a multipart body."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bot.playground.chats import LARGEST_FILE, Json, Refused, bad_request


@dataclass(frozen=True)
class Upload:
    """A file that came with a call."""

    name: str
    mime: str
    data: bytes


class Parameters:
    """The named values of one call, each read as the type the method asks for; raises Refused."""

    def __init__(self, values: Json, uploads: dict[str, Upload]) -> None:
        self._values = values
        self._uploads = uploads

    def text(self, name: str) -> str:
        """A string, empty when it was not given."""
        value = self._values.get(name)
        return "" if value is None else str(value)

    def integer(self, name: str) -> int | None:
        """A whole number, None when it was not given."""
        value = self._values.get(name)
        if value is None or value == "":
            return None
        try:
            return int(value)
        except (TypeError, ValueError):
            raise bad_request(f'parameter "{name}" must be an integer') from None

    def boolean(self, name: str) -> bool:
        """True for `true`, `True`, `1` and the like."""
        return str(self._values.get(name, "")).lower() in ("true", "1", "yes")

    def structure(self, name: str) -> Any:
        """A list or an object, given as such or as JSON text; None when it was not given."""
        value = self._values.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            raise bad_request(f"can't parse {name.replace('_', ' ')} JSON object") from None

    def upload(self, name: str) -> Upload | None:
        """The file of this name, None when nothing was uploaded under it."""
        return self._uploads.get(name)

    def attached(self, value: str) -> Upload | None:
        """The file that `attach://<name>` points to, None when the value points to none."""
        if not value.startswith("attach://"):
            return None
        upload = self._uploads.get(value.removeprefix("attach://"))
        if upload is None:
            raise bad_request("attached file not found")
        return upload


async def read(request: web.Request) -> Parameters:
    """The parameters of a call from its query and its body; raises Refused over 50 MB."""
    values: Json = dict(request.query)
    uploads: dict[str, Upload] = {}
    if request.method == "POST":
        try:
            if request.content_type == "application/json":
                body = await request.json() if request.can_read_body else {}
                if not isinstance(body, dict):
                    raise bad_request("can't parse request: JSON object expected")
                values |= body
            else:
                for name, value in (await request.post()).items():
                    if isinstance(value, web.FileField):
                        uploads[name] = Upload(value.filename, value.content_type, value.file.read())
                    elif isinstance(value, str):
                        values[name] = value
        except web.HTTPRequestEntityTooLarge:
            raise Refused(413, "Request Entity Too Large") from None
        except ValueError:
            raise bad_request("can't parse the request") from None
    if any(len(upload.data) > LARGEST_FILE for upload in uploads.values()):
        raise Refused(413, "Request Entity Too Large")
    return Parameters(values, uploads)
