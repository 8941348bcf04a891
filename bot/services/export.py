"""Everything of one person in one archive: every row as JSON, the same to read as Markdown, and their files.

It is written to disk a piece at a time and given out a part at a time: neither memory nor disk must hold it all.
"""

from __future__ import annotations

import asyncio
import json
import uuid
import zipfile
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final

from bot.errors import NotFound
from bot.media import EXPORTS, Media, amount, key_for
from bot.services import export_words, scratch
from storage import export
from storage.database import Transaction

ENTRY_BYTES: Final = 300
"""What a file takes in an archive beside its content and twice its name, generously."""


class Archive:
    """An archive that is written file by file, in parts of at most `most` bytes that can each be opened alone.

    Its methods read and compress: call them through `asyncio.to_thread`.
    """

    def __init__(self, folder: Path, most: int | None) -> None:
        self._folder = folder
        self._most = most
        self._parts = 0
        self._path: Path | None = None
        self._zip: zipfile.ZipFile | None = None
        self._bytes = 0

    def add(self, path: Path, name: str) -> Path | None:
        """Put a file into the archive under the name; the part that is full now, if one is."""
        size = path.stat().st_size + ENTRY_BYTES + 2 * len(name.encode())
        full = self.close() if self._most is not None and self._bytes + size > self._most else None
        if self._zip is None:
            self._parts += 1
            self._path = self._folder / f"{self._parts}.zip"
            self._zip = zipfile.ZipFile(self._path, "w")
        # Pictures and sound are compressed already.
        text = path.suffix in (".json", ".md")
        self._zip.write(path, name, zipfile.ZIP_DEFLATED if text else zipfile.ZIP_STORED)
        self._bytes += self._zip.getinfo(name).compress_size + size - path.stat().st_size
        return full

    def close(self) -> Path | None:
        """End the part at hand, if there is one; where it lies."""
        if self._zip is None:
            return None
        self._zip.close()
        self._zip, self._bytes = None, 0
        return self._path


async def pack(
    *,
    user_id: uuid.UUID,
    transaction: Callable[[], AbstractAsyncContextManager[Transaction]],
    media: Media,
    home: Path,
    most: int | None = None,
) -> AsyncGenerator[Path, None]:
    """The parts of the person's archive, one after another; each is gone once the next is asked for.

    `transaction` opens one as the person; `home` is VIVA_HOME, where they are written. A file larger than `most` bytes
    is left out, and README.md says so.
    """
    with scratch.folder(home) as folder:
        tables = await _rows(transaction, folder)
        sizes = await media.files_of(user_id)
        own = key_for(user_id, EXPORTS, "")
        files = {key: _name_in_archive(key) for key in sorted(sizes) if not key.startswith(own)}
        fitting = [key for key in files if most is None or sizes[key] + ENTRY_BYTES + 2 * len(key) <= most]
        too_large = {
            files[key]: (amount(sizes[key]), await media.link(key)) for key in files if key not in set(fitting)
        }

        def address(url: str) -> str | None:
            try:
                return files.get(media.key_of(url, owner=user_id))
            except NotFound:
                return None

        texts = await asyncio.to_thread(export_words.write, tables, folder, address=address, too_large=too_large)
        everything = await asyncio.to_thread(_everything, tables, folder / "everything.json")
        archive = Archive(folder, most)
        for path in [*texts, everything]:
            if full := await asyncio.to_thread(archive.add, path, path.name):
                yield full
                full.unlink()
        for key in fitting:
            path = folder / f"file{Path(key).suffix}"
            try:
                await media.fetch(key, path)
            except NotFound:
                # Taken away in the meantime, by the person.
                continue
            if full := await asyncio.to_thread(archive.add, path, files[key]):
                yield full
                full.unlink()
        if last := await asyncio.to_thread(archive.close):
            yield last


async def _rows(transaction: Callable[[], AbstractAsyncContextManager[Transaction]], folder: Path) -> dict[str, Path]:
    """A file for each table of the manifest, with a row of the person's a line."""
    found = {}
    for table in export.EXPORTED:
        found[table.name] = folder / f"{table.name}.rows"
        async with transaction() as db:
            with found[table.name].open("w", encoding="utf-8") as file:
                async for lines in export.rows(db, table):
                    file.writelines(f"{line}\n" for line in lines)
    return found


def _everything(tables: dict[str, Path], path: Path) -> Path:
    """One JSON file with all rows, and why a table is not in it."""
    with path.open("w", encoding="utf-8") as file:
        file.write('{"tables": {')
        for place, (name, rows) in enumerate(tables.items()):
            file.write(f"{',' if place else ''}\n{json.dumps(name)}: [")
            with rows.open(encoding="utf-8", newline="\n") as lines:
                file.writelines(_joined(lines))
            file.write("]")
        file.write(f'\n}},\n"left_out": {json.dumps(dict(export.LEFT_OUT), indent=1)}\n}}\n')
    return path


def _joined(lines: Iterable[str]) -> Iterable[str]:
    for place, line in enumerate(lines):
        yield f"{',' if place else ''}\n{line.rstrip()}"


def _name_in_archive(key: str) -> str:
    """`users/<id>/journal/x.jpg` is `media/journal/x.jpg`."""
    return f"media/{key.split('/', 2)[2]}"
