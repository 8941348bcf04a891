"""Pictures, albums and recordings of the journal: nothing is lost, what belongs together is one entry."""

from __future__ import annotations

import io
from pathlib import Path
from urllib.parse import unquote, urlsplit

import av
import pytest
from PIL import Image

from bot.playground import attachments
from bot.services import recordings
from handlers.journal import PlayTap, StepTap
from tests.world import Someone, Viva, picture, tone


async def _entry(viva: Viva, person: Someone) -> dict[str, object]:
    (entry,) = await viva.rows(person, "select * from journal_entries")
    return entry


def _path(url: str) -> Path:
    return Path(unquote(urlsplit(url).path))


def _is_there(file: Path) -> bool:
    return file.exists()


def _film(seconds: int = 1) -> bytes:
    """A video without sound."""
    written = io.BytesIO()
    with av.open(written, "w", format="mp4") as target:
        stream = target.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(seconds * 10):
            target.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        target.mux(stream.encode(None))
    return written.getvalue()


def _png() -> bytes:
    written = io.BytesIO()
    Image.new("RGBA", (60, 40), (10, 90, 40, 128)).save(written, "PNG")
    return written.getvalue()


async def test_an_album_is_one_entry_whose_pictures_are_shown_again_as_an_album(viva: Viva) -> None:
    ada = await viva.onboarded()
    await viva.telegram.send_album(ada.account, [picture()] * 3, caption="The three of us.")
    await viva.quiet()
    entry = await _entry(viva, ada)
    assert entry["content"] == "The three of us." and len(set(entry["image_urls"])) == 3  # type: ignore[call-overload]
    assert "with 3 pictures" in ada.screen.text
    assert sum("Kept in your journal" in text for text in ada.messages) == 1
    await ada.tap("Open")
    await ada.tap("Show the pictures")
    shown = [screen for screen in ada.screens if screen.photo]
    assert len({screen.message["media_group_id"] for screen in shown}) == 1 and len(shown) == 3
    assert ada.screen.text.startswith("This is from")
    await ada.tap("Open")
    assert "The three of us." in ada.screen.text


async def test_an_album_that_cannot_be_had_leaves_no_empty_entry_and_nothing_that_looks_busy(viva: Viva) -> None:
    ada = await viva.onboarded()
    for caption in ("", "The three of us."):
        viva.telegram.fail_next("getFile", 400, "Bad Request: file is too big", times=3)
        await viva.telegram.send_album(ada.account, [picture()] * 3, caption=caption)
        await viva.quiet()
        assert not any("Keeping your picture" in text for text in ada.messages)
        entries = await viva.rows(ada, "select content from journal_entries")
        assert entries == ([{"content": caption}] if caption else [])
    # One that can be had is kept, and the message they share tells of it.
    viva.telegram.fail_next("getFile", 400, "Bad Request: file is too big", times=2)
    await viva.telegram.send_album(ada.account, [picture()] * 3)
    await viva.quiet()
    assert not any("Keeping your picture" in text for text in ada.messages)
    (kept,) = await viva.rows(ada, "select image_urls from journal_entries where content = ''")
    assert len(kept["image_urls"]) == 1


async def test_an_album_survives_a_kill_between_its_members(viva: Viva) -> None:
    ada = await viva.onboarded()
    await viva.telegram.send_album(ada.account, [picture()] * 2)
    await viva.stop(kill=True)
    await viva.start()
    await viva.quiet()
    assert len((await _entry(viva, ada))["image_urls"]) == 2  # type: ignore[arg-type]


async def test_whatever_comes_goes_into_the_open_entry_until_done(viva: Viva) -> None:
    ada = await viva.onboarded()
    await ada.send("/journal A walk.")
    await ada.tap("Add to it")
    await ada.send("It began to rain.")
    assert "Added to" in ada.screen.text
    await ada.send_photo(caption="The wet dog.")
    await ada.send_voice(words="And I laughed.")
    await viva.telegram.send_document(ada.account, _png(), name="map.png", mime="image/png")
    await viva.telegram.send_file(ada.account, "video", _film(), name="rain.mp4", mime="video/mp4")
    await viva.quiet()
    await ada.tap("Done")
    entry = await _entry(viva, ada)
    assert entry["content"] == "A walk.\n\nIt began to rain.\n\nThe wet dog."
    endings = [str(url).rpartition(".")[2] for url in entry["image_urls"]]  # type: ignore[attr-defined]
    assert endings == ["jpg", "png", "mp4"]
    assert [r["transcript"] for r in entry["audio_recordings"]] == ["And I laughed."]  # type: ignore[attr-defined]
    await ada.tap("Play")
    assert any("voice" in screen.message for screen in ada.screens)
    await ada.tap_data(StepTap(step="pictures", id=entry["id"]).pack())  # type: ignore[arg-type]
    assert any("video" in screen.message for screen in ada.screens)
    await ada.send("Now I talk with you again.")
    assert (await _entry(viva, ada))["content"] == entry["content"]


async def test_a_picture_no_one_can_open_is_kept_and_a_file_that_is_none_is_not(viva: Viva) -> None:
    ada = await viva.onboarded()
    heic = b"\x00\x00\x00\x18ftypheic" + bytes(64)
    await viva.telegram.send_document(ada.account, heic, name="IMG_1.HEIC", mime="application/octet-stream")
    await viva.quiet()
    (url,) = (await _entry(viva, ada))["image_urls"]  # type: ignore[misc]
    assert _path(url).read_bytes() == heic
    await ada.tap("Open")
    await ada.tap("Show the pictures")
    assert any("document" in screen.message for screen in ada.screens)
    await viva.telegram.send_document(ada.account, b"no picture", name="x.png", mime="image/png")
    await viva.quiet()
    assert "could not read this file as a picture" in ada.screen.text
    assert len(await viva.rows(ada, "select 1 from journal_entries")) == 1


async def test_a_member_over_the_limit_is_said_at_once_and_the_rest_of_the_album_is_kept(viva: Viva) -> None:
    ada = await viva.onboarded()
    content = {"media_group_id": "album-1"}
    large = await attachments.keep(
        viva.telegram.chats, "video", _film() + bytes(21 * 1024 * 1024), name="a.mp4", mime="video/mp4"
    )
    small = await attachments.keep(viva.telegram.chats, "photo", picture())
    viva.telegram._say(ada.account, content | large, caption="Our summer")
    viva.telegram._say(ada.account, content | small)
    await viva.quiet()
    entry = await _entry(viva, ada)
    assert entry["content"] == "Our summer" and len(entry["image_urls"]) == 1  # type: ignore[arg-type]
    assert any("up to 20 MB" in text and "is in your journal" in text for text in ada.messages)


async def test_a_long_recording_is_written_down_in_pieces_each_charged_once(
    viva: Viva, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordings, "MOST_SECONDS", 3.0)
    ada = await viva.onboarded()
    for words in ("First part.", "Second part.", "Third part."):
        viva.model.script("audio/transcriptions", text=words)
    await ada.send_voice(seconds=7)
    (recording,) = (await _entry(viva, ada))["audio_recordings"]  # type: ignore[misc]
    assert recording["transcript"] == "First part. Second part. Third part." and recording["duration"] == 7
    usage = await viva.rows(ada, "select metadata from token_usage where success order by created_at")
    assert len(usage) == 3
    assert 6.9 < sum(row["metadata"]["seconds"] for row in usage) < 7.2
    # A piece that is refused leaves a gap, and the words around it stay.
    viva.model.script("audio/transcriptions", text="Before.")
    viva.model.script("audio/transcriptions", status=400, message="no")
    viva.model.script("audio/transcriptions", text="After.")
    await ada.send_voice(seconds=7)
    assert "Before. [...] After." in ada.screen.text and "could not be written down" in ada.screen.text
    # So does what was heard before the provider let nobody in any more.
    viva.model.script("audio/transcriptions", text="Heard.")
    viva.model.script("audio/transcriptions", status=401, times=2)
    await ada.send_voice(seconds=7)
    assert "Heard. [...] [...]" in ada.screen.text
    # With too little for all of it nothing is begun.
    grant = "select viva.grant_tokens($1, $2, 'admin', $3, null)"
    (wallet,) = await viva.rows(ada, "select balance from viva.wallets")
    await viva.service_rows(grant, await ada.user_id(), 100 - wallet["balance"], "test:poor")
    await ada.send_voice(seconds=7)
    assert "stays as sound for now" in ada.screen.text
    assert await viva.service_rows("select * from viva.ledger_differences()") == []


def test_a_recording_is_cut_where_it_is_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "MOST_SECONDS", 4.0)
    sound = tone(3)
    still = sound[:44] + sound[44:] + bytes(16_000) + sound[44:]
    header = bytearray(still)
    header[4:8] = (len(still) - 8).to_bytes(4, "little")
    header[40:44] = (len(still) - 44).to_bytes(4, "little")
    (cut,) = recordings.cuts(bytes(header), seconds=6.5)
    assert 3.0 <= cut <= 3.5
    first, second = (recordings.piece(bytes(header), start=a, end=b) for a, b in ((0.0, cut), (cut, 6.5)))
    assert abs(recordings.measure(first) + recordings.measure(second) - 6.5) < 0.2


async def test_another_s_pictures_and_recordings_are_not_shown(viva: Viva) -> None:
    ada, eve = await viva.onboarded("Ada"), await viva.onboarded("Eve")
    await ada.send_photo(caption="Mine.")
    entry = await _entry(viva, ada)
    for data in (StepTap(step="pictures", id=entry["id"]), PlayTap(id=entry["id"], place=0)):  # type: ignore[arg-type]
        await eve.tap_data(data.pack())
        assert "not in your journal" in eve.screen.text
    (stolen,) = await viva.rows(
        eve,
        "insert into journal_entries (content, image_urls) values ('', $1::text[]) returning id",
        entry["image_urls"],
    )
    await eve.tap_data(StepTap(step="pictures", id=stolen["id"]).pack())
    assert not any(screen.photo for screen in eve.screens) and "could not show it" in eve.screen.text
    # Deleting it does not touch what is another's.
    await eve.tap_data(StepTap(step="sure", id=stolen["id"]).pack())
    assert _is_there(_path(entry["image_urls"][0]))  # type: ignore[index]
