"""The media store: a real S3 API, links, the room that a person has, and nothing left of those who are gone."""

from __future__ import annotations

import asyncio
import os
import time
import urllib.request
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import boto3
import pytest
from moto.server import ThreadedMotoServer

from bot.engine.schedule import TICKS
from tests.conftest import DatabaseUrls
from tests.conversations.test_book import write
from tests.world import Someone, Viva, open_world

BUCKET = "viva-test"


@pytest.fixture
async def bucket(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """A bucket behind an S3 API on this machine, reached as any other: by the environment."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    await asyncio.to_thread(server.start)
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "viva",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
    await asyncio.to_thread(client.create_bucket, Bucket=BUCKET)
    yield client
    await asyncio.to_thread(server.stop)


async def _files(client: Any) -> dict[str, int]:
    listed = await asyncio.to_thread(client.list_objects_v2, Bucket=BUCKET)
    return {item["Key"]: item["Size"] for item in listed.get("Contents", [])}


async def test_everything_works_on_s3_and_nothing_is_left_there_of_somebody_who_is_gone(
    bucket: Any, tmp_path: Path, database_urls: DatabaseUrls
) -> None:
    async with open_world(tmp_path, database_urls.service, media_url=f"s3://{BUCKET}/some/prefix") as viva:
        ada, ben = await viva.onboarded("Ada"), await viva.onboarded("Ben")
        await ben.send_photo(caption="The sea.")
        await ada.send_voice(seconds=1, words="Today it rained.")
        (entry,) = await viva.rows(ada, "select audio_recordings from journal_entries")
        url = entry["audio_recordings"][0]["url"]
        assert url.startswith(f"s3://{BUCKET}/some/prefix/users/{await ada.user_id()}/journal/")
        assert url.removeprefix(f"s3://{BUCKET}/") in await _files(bucket)
        assert entry["audio_recordings"][0]["transcript"] == "Today it rained."

        await write(viva, ada, fun="I dance.")
        await ada.send("/listen")
        await ada.tap("Fun")
        await ada.tap("Yes, go on")
        (track,) = await viva.rows(ada, "select s3_bucket, s3_key, status from audio_tracks")
        assert track["status"] == "completed" and track["s3_bucket"] == BUCKET
        files = await _files(bucket)
        assert track["s3_key"] in files
        sent = next(screen.message["audio"] for screen in ada.screens if "audio" in screen.message)
        assert sent["file_size"] == files[track["s3_key"]]
        await ada.send("/book")
        assert "document" in ada.screen.message
        counted = await viva.rows(ada, "select media_key, bytes from viva.media_objects where stored_at is not null")
        ada_id = await ada.user_id()
        mine = {key: size for key, size in (await _files(bucket)).items() if str(ada_id) in key}
        assert {f"some/prefix/{row['media_key']}": row["bytes"] for row in counted} == mine

        await viva.restart(telegram_upload_mb=0.001)
        await ada.send("/listen")
        screen = await ada.tap("Fun ✓")
        assert "“Fun / Recreation” is larger than Telegram takes from me" in screen.text
        (link,) = [b["url"] for row in screen.message["reply_markup"]["inline_keyboard"] for b in row if "url" in b]
        assert "X-Amz-Expires=86400" in link and "secret" not in link

        def fetch() -> int:
            with urllib.request.urlopen(link) as answer:
                return len(answer.read())

        assert await asyncio.to_thread(fetch) == files[track["s3_key"]]

        await ada.send("/delete")
        await ada.tap("Go on")
        await ada.tap("Delete it all for good")
        left = await _files(bucket)
        assert not any(str(ada_id) in key for key in left) and len(left) == 1
        rows = await viva.service_rows("select user_id from viva.media_objects")
        assert [row["user_id"] for row in rows] == [await ben.user_id()]


async def _tick(viva: Viva, *, days: int) -> None:
    """Let the ticks come of so many days from now, which VIVA's own clock has not put in."""
    assert viva.app is not None
    await viva.app.schedule.look(datetime.now(UTC) + timedelta(days=days))
    await viva.quiet()
    assert await viva.service_rows("select name, error from viva.work where state = 'parked'") == []


def _notes(person: Someone) -> list[str]:
    return [text for text in person.messages if text.startswith("A small note: your recordings")]


async def test_a_kind_word_comes_before_the_room_is_full_and_then_only_the_file_is_refused(viva: Viva) -> None:
    ada, ben = await viva.onboarded("Ada"), await viva.onboarded("Ben")
    ada_id = await ada.user_id()
    fill = """
        insert into viva.media_objects (media_key, user_id, bytes, stored_at)
        values ('users/' || $1::uuid || '/journal/large', $1, $2::bigint, now())
        on conflict (media_key) do update set bytes = excluded.bytes
        """
    gigabyte = 1 << 30
    await viva.service_rows(fill, ada_id, int(3.9 * gigabyte))
    await _tick(viva, days=1)
    assert _notes(ada) == []
    await viva.service_rows(fill, ada_id, int(4.1 * gigabyte))
    await _tick(viva, days=2)
    await _tick(viva, days=3)
    assert len(_notes(ada)) == 1 and "use 4.1 GB of the 5 GB" in _notes(ada)[0]
    await viva.service_rows(fill, ada_id, 5 * gigabyte)
    await _tick(viva, days=4)
    await _tick(viva, days=5)
    assert len(_notes(ada)) == 2 and "When it is full" in _notes(ada)[1] and _notes(ben) == []

    await ada.send_photo(caption="The sea at noon.")
    assert "There is no room left for this file: you have 5 GB" in ada.screen.text
    await ada.send_voice(words="Nobody hears this.")
    assert "There is no room left for this file" in ada.screen.text
    rows = await viva.rows(ada, "select content, image_urls from journal_entries")
    assert [(row["content"], row["image_urls"]) for row in rows] == [("The sea at noon.", [])]
    await write(viva, ada, fun="I dance.")
    await ada.send("/book")
    assert "document" in ada.screen.message, "what VIVA draws anew is never refused"
    await ben.send_photo(caption="The sea.")
    assert (await viva.rows(ben, "select image_urls from journal_entries"))[0]["image_urls"] != []


async def test_the_store_and_its_books_are_brought_together(viva: Viva) -> None:
    ada = await viva.onboarded("Ada")
    await ada.send_photo(caption="The sea.")
    (kept,) = await viva.rows(ada, "select media_key, bytes from viva.media_objects")
    users = Path(unquote(urlsplit(viva.settings.media_location).path)) / "users"
    (users / kept["media_key"].removeprefix("users/")).touch()
    foreign, unbooked = (
        users / str(uuid.uuid4()) / "journal" / "a.jpg",
        users / str(await ada.user_id()) / "old" / "b.jpg",
    )
    fresh = foreign.with_name("fresh.jpg")
    for path in (foreign, unbooked, fresh):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"1234567")
    ages_ago = time.time() - 3 * 86400
    for path in (foreign, unbooked):
        os.utime(path, (ages_ago, ages_ago))
    await viva.service_rows(
        """
        insert into viva.media_objects (media_key, user_id, bytes, created_at)
        values ('users/' || $1::uuid || '/journal/never', $1, 10, now() - interval '2 days')
        """,
        await ada.user_id(),
    )
    assert {"media", "room", "narration"} <= {tick.name for tick in TICKS}
    await _tick(viva, days=1)
    assert not foreign.exists() and fresh.exists() and unbooked.exists()
    booked = await viva.rows(ada, "select media_key, bytes from viva.media_objects order by bytes")
    assert [(row["media_key"].rpartition("/")[2], row["bytes"]) for row in booked] == [
        ("b.jpg", 7),
        (kept["media_key"].rpartition("/")[2], kept["bytes"]),
    ]


async def test_a_track_that_work_forgot_does_not_wait_for_ever(viva: Viva) -> None:
    ada = await viva.onboarded("Ada")
    vision_id = await write(viva, ada, fun="I dance.")
    await viva.service_rows(
        """
        insert into audio_tracks (user_id, vision_id, section_key, content_hash, text_content, voice_id, s3_bucket,
                                  s3_key, audio_url, status, updated_at)
        values ($1, $2, 'fun', 'x', 'I dance.', 'sage', '', '', '', 'processing', now() - interval '2 hours'),
               ($1, $2, 'home', 'x', 'I rest.', 'sage', '', '', '', 'processing', now())
        """,
        await ada.user_id(),
        uuid.UUID(vision_id),
    )
    await _tick(viva, days=1)
    rows = await viva.rows(ada, "select section_key, status, error_message from audio_tracks order by section_key")
    assert [(row["status"], row["error_message"]) for row in rows] == [("failed", "interrupted"), ("processing", None)]
