"""Everything of a person, given to them: each word and each file, and nothing of anybody else's."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import sys
import time
import zipfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

import asyncpg

from bot.services import scratch
from handlers.export import ExportTap
from storage import grants
from storage import work as store
from storage.export import EXPORTED
from tests.conftest import DatabaseUrls
from tests.world import Someone, Viva

HOME = Path(__file__).parents[2]


def _said(of: str) -> dict[str, str]:
    """What somebody says, and in which document it is to be found."""
    return {
        f"Today {of} saw a heron.": "journal.md",
        f"{of} slept well under the roof.": "journal.md",
        f"The first tomatoes of {of}.": "journal.md",
        f"I want to live near the sea with {of}'s sister Clara.": "vision.md",
        f"{of} has not sailed for years.": "talks.md",
        f"A red boat for {of}": "board.md",
    }


async def _live(person: Someone, name: str) -> None:
    written, spoken, shown, imagined, talked, pinned = _said(name)
    await person.send("/journal")
    await person.tap("Write an entry")
    await person.send(written)
    await person.tap_data("open:home")
    await person.send_voice(words=spoken)
    await person.send_photo(caption=shown)
    await person.tap_data("open:talk")
    await person.send(talked)
    await person.send("/vision")
    await person.tap("🏡 Home")
    await person.tap("Draft")
    await person.send(imagined)
    await person.tap("Keep")
    await person.send("/board")
    await person.tap("Pin something")
    await person.send(pinned)
    await person.send("/assessment")
    await person.tap("Begin")
    await person.tap("7")
    await person.tap("2")


def _folder(viva: Viva, user_id: object) -> Path:
    return Path(unquote(urlsplit(str(viva.settings.media_url)).path)) / "users" / str(user_id)


def _files(viva: Viva, user_id: object) -> dict[str, bytes]:
    """What lies in the media store for a person, by its name in the archive."""
    folder = _folder(viva, user_id)
    found = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {f"media/{name}": path.read_bytes() for name, path in found.items() if name.parts[0] != "export"}


def _archives(viva: Viva, person: Someone) -> dict[str, zipfile.ZipFile]:
    """The archives in the chat by name, oldest first."""
    chats = viva.telegram.chats
    sent = [screen.message["document"] for screen in person.screens if "document" in screen.message]
    return {
        one["file_name"]: zipfile.ZipFile(io.BytesIO(chats.blob(chats.file(one["file_id"])).read_bytes()))
        for one in sent
    }


def _contents(archives: list[zipfile.ZipFile]) -> dict[str, bytes]:
    return {name: archive.read(name) for archive in archives for name in archive.namelist()}


async def _command(viva: Viva, folder: Path, *words: str) -> tuple[int | None, str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    places = {"DATABASE_URL": str(viva.settings.database_url), "MEDIA_URL": str(viva.settings.media_url)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "export", *words),
        cwd=folder,
        env=kept | places | {"PYTHONPATH": str(HOME), "HOME": str(folder)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_a_person_gets_each_word_and_each_file_of_theirs_and_nothing_of_another(
    viva: Viva, database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    ada, ben = await viva.onboarded("Ada"), await viva.onboarded("Ben")
    await _live(ada, "Ada")
    await _live(ben, "Ben")
    user_id, other_id = await ada.user_id(), await ben.user_id()
    # It needs neither a yes to AI nor tokens.
    await ada.send("/privacy")
    await ada.tap("Take back my yes")
    left = (await viva.rows(ada, "select balance from viva.wallets"))[0]["balance"]
    async with viva.database.as_service().transaction() as db:
        taken = await grants.adjust(db, user_id=user_id, amount=-left, reference="test", reason="for this test")
    assert taken.done
    # The note about it comes first, so that the newest screen below is the one asked for.
    await viva.quiet()
    requests = len(viva.model.requests)
    connection = await asyncpg.connect(database_urls.admin)
    try:
        async with connection.transaction():
            # The rows cannot be read yet, so the second wish meets the first.
            await connection.execute("lock table viva.media_notes in access exclusive mode")
            await ada.send_without_waiting("/privacy")
            await ada.wait(lambda: "Give me everything of mine" in ada.screen.buttons)
            await ada.tap("Give me everything", wait=False)
            await ada.wait(lambda: "putting together everything" in ada.screen.text)
            await ada.send_without_waiting("/export")
            await ada.wait(lambda: "on its way already" in ada.screen.text)
    finally:
        await connection.close()
    await viva.quiet()
    assert len(viva.model.requests) == requests
    (name, archive), *others = _archives(viva, ada).items()
    assert others == [] and re.fullmatch(r"viva-\d{4}-\d\d-\d\d\.zip", name) and "README.md" in ada.screen.text
    contents = _contents([archive])

    for words, document in _said("Ada").items():
        assert words in contents[document].decode(), words
        assert words in contents["everything.json"].decode(), words
    rows = json.loads(contents["everything.json"])["tables"]
    assert [*rows] == [table.name for table in EXPORTED]
    for table, kept in rows.items():
        if kept and "user_id" in kept[0]:
            (counted,) = await viva.service_rows(f"select count(*) as n from {table} where user_id = $1", user_id)
            # Since then the archive itself lies in the media store.
            assert len(kept) == counted["n"] - (table == "viva.media_objects"), table
    (answer,) = rows["public.assessment_responses"]
    assert answer["question_text"] in contents["assessment.md"].decode()
    assert rows["viva.assessment_self_ratings"][0]["rating"] == 7
    assert rows["public.vision_versions"][0]["home"] in contents["vision.md"].decode()
    assert "for this test" in contents["receipts.md"].decode() and rows["public.token_usage"]

    files = _files(viva, user_id)
    assert {name: data for name, data in contents.items() if name.startswith("media/")} == files
    linked = re.findall(r"\((media/[^)]+)\)", contents["journal.md"].decode())
    assert len(linked) == 2 and {*linked} <= {*files}

    everything = b"\n".join(contents.values())
    for words in [*_said("Ben"), str(other_id), f'"telegram_id": {ben.id}']:
        assert words.encode() not in everything, words

    # From the command line comes the same, in one archive, and nothing is ever written over.
    assert (await _command(viva, tmp_path, str(ada.id), str(tmp_path)))[0] == 0
    written = tmp_path / f"viva-{ada.id}.zip"
    assert written.stat().st_mode & 0o077 == 0
    again = _contents([zipfile.ZipFile(written)])
    assert {**again, "README.md": b"", "everything.json": b""} == {**contents, "README.md": b"", "everything.json": b""}
    code, _, err = await _command(viva, tmp_path, str(ada.id), str(written))
    assert code == 1 and "could not be written" in err
    code, _, err = await _command(viva, tmp_path, "4711", str(tmp_path))
    assert code == 1 and "Nobody with the Telegram id 4711" in err


async def test_much_comes_in_parts_that_the_messenger_takes_and_nothing_of_it_stays_in_the_store(viva: Viva) -> None:
    ada = await viva.onboarded()
    for seconds in (2, 2, 2, 9):
        await ada.send_voice(seconds=seconds, words="The wind.")
    user_id = await ada.user_id()
    exports = _folder(viva, user_id) / "export"
    await viva.restart(telegram_upload_mb=0.03)
    await ada.send("/export")
    earlier = {*exports.iterdir()}
    sent = _archives(viva, ada)
    assert len(sent) == len(earlier) > 1 and f"in {len(sent)} files" in ada.screen.text
    assert all(path.stat().st_size <= 27_000 for path in earlier)
    assert [name.split("-", 4)[4] for name in sent] == [f"{n}-of-{len(sent)}.zip" for n in range(1, len(sent) + 1)]
    contents = _contents([*sent.values()])
    files = _files(viva, user_id)
    (large,) = {*files} - {*contents}
    assert len(files[large]) > 27_000 and large in contents["README.md"].decode()
    await ada.tap_data(ExportTap().pack())
    later = {*exports.iterdir()}
    assert len(later) == len(earlier) and later.isdisjoint(earlier)

    # A process that was killed left what it wrote of an archive; that of today may be somebody's who is at work.
    left = [scratch.place(viva.settings.viva_home) / name for name in ("left", "today", "left later")]
    for folder in left:
        folder.mkdir()
        (folder / "journal.rows").write_text("The wind.")
    os.utime(left[0], (time.time() - 90_000,) * 2)
    await viva.restart()
    await ada.wait(lambda: [folder.exists() for folder in left] == [False, True, True])

    for path in [*later, left[2]]:
        os.utime(path, (time.time() - 90_000,) * 2)
    async with viva.database.as_service().transaction() as db:
        tick = store.NewWork(lane="tick:media", kind="job", name="tick.media", key="tick:media:test", payload={})
        await store.enqueue(db, [tick])
    await viva.quiet()
    assert [folder.exists() for folder in left] == [False, True, False]
    assert {*exports.iterdir()} == set() and _files(viva, user_id) == files
    kept = await viva.rows(ada, "select media_key from viva.media_objects")
    assert len(kept) == len(files)
