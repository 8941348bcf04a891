"""The media store: recordings and pictures, in a folder or an object store (S3, GCS, Azure) named by MEDIA_URL.

Everything of a person lies under `users/<user id>/`, so that it can be found whole and removed whole.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, LocalStore, ObjectStore, S3Store, from_url

from bot.errors import NotFound, SettingsError, StorageFull
from prompts import replies
from storage import database
from storage import media as books
from storage.database import Database, Fenced

WORDS = replies.of("media")

LINK_LASTS = timedelta(days=1)

GIGABYTE = 1 << 30

PIECE = 1 << 20
"""Bytes of a file in hand at once while it is written to disk."""

DRAWN = ("assessments", "books", "collages", "export", "exports", "usage")
"""Folders of what VIVA makes anew whenever it is asked to: counted, and never refused."""

EXPORTS = "export"
"""The folder of a whole person's exports: taken away again after a day."""


def key_for(user_id: uuid.UUID, folder: str, name: str) -> str:
    """The key of something a person owns, such as `users/.../journal/<name>`."""
    return f"users/{user_id}/{folder}/{name}"


def key_in(location: str, url: str, *, owner: uuid.UUID) -> str:
    """The key behind an address in the media store at `location`; raises NotFound where it is not the owner's.

    Addresses stand in rows that a person may write, so what they name is checked here.
    """
    key = url.removeprefix(f"{location.rstrip('/')}/")
    if not key.startswith(f"users/{owner}/") or ".." in key.split("/"):
        raise NotFound("This file is not here any more.")
    return key


def owner_of(key: str) -> uuid.UUID | None:
    """Whose file this is, by its key."""
    found = re.match(r"users/([0-9a-f-]{36})/[^/]+/", key)
    try:
        return uuid.UUID(found[1]) if found else None
    except ValueError:
        return None


def amount(size: int) -> str:
    """An amount of bytes as people read it: 350 MB, 4.2 GB."""
    if size >= GIGABYTE:
        return f"{size / GIGABYTE:.1f}".removesuffix(".0") + " GB"
    return f"{size / (1 << 20):.0f} MB"


class MediaUnavailable(Exception):
    """The media store did not take or give something; another try may go through."""


class Media:
    """Where the bytes are. Made by `Media.open(url)`."""

    def __init__(self, store: ObjectStore, url: str, database: Database | None) -> None:
        self._store = store
        self._url = url.rstrip("/")
        self._database = database

    @classmethod
    def open(cls, url: str, *, database: Database | None = None) -> Media:
        """The store at `url`; raises SettingsError when it cannot be one. A folder is made, readable by its owner.

        With a database, what lies there for a person is kept in its books, and no more than they have room for.
        """
        try:
            if url.startswith("file://"):
                folder = Path(unquote(urlsplit(url).path))
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                return cls(LocalStore(folder, mkdir=True), url, database)
            return cls(from_url(url), url, database)
        except (BaseError, OSError, ValueError) as error:
            raise SettingsError(f"MEDIA_URL cannot be used as a media store ({type(error).__name__}).") from None

    def url_of(self, key: str) -> str:
        """The address of a key, as it is stored in `image_urls` and `audio_recordings`."""
        return f"{self._url}/{key}"

    def key_of(self, url: str, *, owner: uuid.UUID) -> str:
        """The key behind an address that `url_of` made; raises NotFound where it is not the owner's."""
        return key_in(self._url, url, owner=owner)

    def place_of(self, key: str) -> tuple[str, str]:
        """The bucket of a key, empty for a folder, and the key within it, with the prefix that MEDIA_URL names."""
        parts = urlsplit(self._url)
        prefix = parts.path.strip("/")
        return ("", key) if parts.scheme == "file" else (parts.netloc, f"{prefix}/{key}" if prefix else key)

    async def put(self, key: str, content: bytes | Path) -> None:
        """Keep the bytes, or those of the file, under the key, replacing what was there.

        Raises StorageFull where the person has no room for it, MediaUnavailable, and Fenced where they are no more.
        """
        database.forbid_inside_transaction("the media store")
        owner = owner_of(key)
        if owner is not None and self._database is not None:
            size = await asyncio.to_thread(os.path.getsize, content) if isinstance(content, Path) else len(content)
            await self._reserve(self._database, owner, key, size)
        try:
            await obstore.put_async(self._store, key, content)
        except (BaseError, OSError) as error:
            raise MediaUnavailable(f"media: put failed ({type(error).__name__})") from None
        if owner is not None and self._database is not None:
            async with self._database.as_service().transaction() as transaction:
                await books.stored(transaction, key)

    async def _reserve(self, database: Database, owner: uuid.UUID, key: str, size: int) -> None:
        always = key.split("/")[2] in DRAWN
        async with database.as_service().transaction() as transaction:
            granted = await books.reserve(transaction, user_id=owner, media_key=key, size=size, always=always)
            room = await books.room(transaction, owner) if granted is False else None
        if granted is None:
            raise Fenced("the person is no more")
        if room is not None:
            raise StorageFull(WORDS("full", quota=amount(room.quota)))

    async def get(self, key: str) -> bytes:
        """The bytes under the key; raises NotFound or MediaUnavailable."""
        database.forbid_inside_transaction("the media store")
        try:
            answer = await obstore.get_async(self._store, key)
            return bytes(await answer.bytes_async())
        except FileNotFoundError:
            raise NotFound("This file is not here any more.") from None
        except (BaseError, OSError) as error:
            raise MediaUnavailable(f"media: get failed ({type(error).__name__})") from None

    async def fetch(self, key: str, path: Path) -> None:
        """Write the bytes under the key into a file, a piece at a time; raises NotFound or MediaUnavailable."""
        database.forbid_inside_transaction("the media store")
        try:
            answer = await obstore.get_async(self._store, key)
            with path.open("wb") as file:
                async for piece in answer.stream(PIECE):
                    await asyncio.to_thread(file.write, piece)
        except FileNotFoundError:
            raise NotFound("This file is not here any more.") from None
        except (BaseError, OSError) as error:
            raise MediaUnavailable(f"media: get failed ({type(error).__name__})") from None

    async def delete(self, key: str) -> None:
        """Remove what is under the key, if anything; raises MediaUnavailable."""
        database.forbid_inside_transaction("the media store")
        try:
            await obstore.delete_async(self._store, key)
        except FileNotFoundError:
            pass
        except (BaseError, OSError) as error:
            raise MediaUnavailable(f"media: delete failed ({type(error).__name__})") from None
        if self._database is not None:
            async with self._database.as_service().transaction() as transaction:
                await books.forget(transaction, [key])

    async def size(self, key: str) -> int:
        """How many bytes lie under the key; raises NotFound or MediaUnavailable."""
        database.forbid_inside_transaction("the media store")
        try:
            found = await obstore.head_async(self._store, key)
            return found["size"]
        except FileNotFoundError:
            raise NotFound("This file is not here any more.") from None
        except (BaseError, OSError) as error:
            raise MediaUnavailable(f"media: head failed ({type(error).__name__})") from None

    async def has(self, key: str) -> bool:
        """Whether something lies under the key; raises MediaUnavailable."""
        try:
            await self.size(key)
        except NotFound:
            return False
        return True

    async def link(self, key: str) -> str | None:
        """A link under which anybody can fetch the file for a day; None where the store gives none, as a folder."""
        if not isinstance(self._store, S3Store | GCSStore | AzureStore):
            return None
        database.forbid_inside_transaction("the media store")
        try:
            return await obstore.sign_async(self._store, "GET", key, LINK_LASTS)
        except (BaseError, OSError, ValueError) as error:
            raise MediaUnavailable(f"media: sign failed ({type(error).__name__})") from None

    async def people(self, *, before: datetime | None = None) -> AsyncIterator[list[tuple[str, uuid.UUID, int]]]:
        """All files of people, in batches: key, person, bytes; only those that are older than `before`."""
        database.forbid_inside_transaction("the media store")
        latest = before or datetime.now(UTC)
        try:
            async for batch in obstore.list(self._store, prefix="users/"):
                found = [(item["path"], owner_of(item["path"]), item) for item in batch]
                yield [
                    (key, owner, item["size"])
                    for key, owner, item in found
                    if owner is not None and item["last_modified"] <= latest
                ]
        except (BaseError, OSError) as error:
            raise MediaUnavailable(f"media: list failed ({type(error).__name__})") from None

    async def erase_person(self, user_id: uuid.UUID) -> int:
        """Remove everything under the person's folder; how many files went."""
        files = await self.files_of(user_id)
        for key in files:
            await self.delete(key)
        parts = urlsplit(self._url)
        if parts.scheme == "file":
            # What a process that was killed had half written is in no list.
            folder = Path(unquote(parts.path)) / "users" / str(user_id)
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        return len(files)

    async def files_of(self, user_id: uuid.UUID) -> dict[str, int]:
        """The bytes of each file under the person's folder, by its key; raises MediaUnavailable."""
        database.forbid_inside_transaction("the media store")
        files: dict[str, int] = {}
        try:
            async for batch in obstore.list(self._store, prefix=f"users/{user_id}/"):
                files |= {item["path"]: item["size"] for item in batch}
        except (BaseError, OSError) as error:
            raise MediaUnavailable(f"media: list failed ({type(error).__name__})") from None
        return files
