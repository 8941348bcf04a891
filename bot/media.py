"""The media store: recordings and pictures, in a folder or an object store (S3, GCS, Azure) named by MEDIA_URL.

Everything of a person lies under `users/<user id>/`, so that it can be found whole and removed whole.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from bot.errors import NotFound, SettingsError
from storage import database


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


class MediaUnavailable(Exception):
    """The media store did not take or give something; another try may go through."""


class Media:
    """Where the bytes are. Made by `Media.open(url)`."""

    def __init__(self, store: ObjectStore, url: str) -> None:
        self._store = store
        self._url = url.rstrip("/")

    @classmethod
    def open(cls, url: str) -> Media:
        """The store at `url`; raises SettingsError when it cannot be one. A folder is made, readable by its owner."""
        try:
            if url.startswith("file://"):
                folder = Path(unquote(urlsplit(url).path))
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                return cls(LocalStore(folder, mkdir=True), url)
            return cls(from_url(url), url)
        except (BaseError, OSError, ValueError) as error:
            raise SettingsError(f"MEDIA_URL cannot be used as a media store ({type(error).__name__}).") from None

    def url_of(self, key: str) -> str:
        """The address of a key, as it is stored in `image_urls` and `audio_recordings`."""
        return f"{self._url}/{key}"

    def key_of(self, url: str, *, owner: uuid.UUID) -> str:
        """The key behind an address that `url_of` made; raises NotFound where it is not the owner's."""
        return key_in(self._url, url, owner=owner)

    async def put(self, key: str, content: bytes) -> None:
        """Keep the bytes under the key, replacing what was there; raises MediaUnavailable."""
        database.forbid_inside_transaction("the media store")
        try:
            await obstore.put_async(self._store, key, content)
        except (BaseError, OSError) as error:
            raise MediaUnavailable(f"media: put failed ({type(error).__name__})") from None

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

    async def delete(self, key: str) -> None:
        """Remove what is under the key, if anything; raises MediaUnavailable."""
        database.forbid_inside_transaction("the media store")
        try:
            await obstore.delete_async(self._store, key)
        except FileNotFoundError:
            return
        except (BaseError, OSError) as error:
            raise MediaUnavailable(f"media: delete failed ({type(error).__name__})") from None

    async def erase_person(self, user_id: uuid.UUID) -> int:
        """Remove everything under the person's folder; how many files went."""
        database.forbid_inside_transaction("the media store")
        keys: list[str] = []
        try:
            async for batch in obstore.list(self._store, prefix=f"users/{user_id}/"):
                keys.extend(item["path"] for item in batch)
        except (BaseError, OSError) as error:
            raise MediaUnavailable(f"media: list failed ({type(error).__name__})") from None
        for key in keys:
            await self.delete(key)
        return len(keys)
