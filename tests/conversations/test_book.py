"""The life vision as a book: a PDF that carries every section, in the scripts they are written in."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from pypdf import PdfReader

from bot.engine import lanes
from bot.services import work
from tests.world import Someone, Viva, comes_true

TEXTS = {
    "forward": "This is my life.\n\nIt is good as it is.",
    "fun": 'I paint. #let x = 1 *not bold* $math$ @ref <label> \\ `raw` #image("/etc/passwd")',
    "home": "Я живу у моря.",
    "health": "我住在海边。",
    "giving": "मैं समुद्र के पास रहता हूँ।",
}


async def write(viva: Viva, person: Someone, *, status: str = "draft", number: int = 1, **texts: str) -> str:
    """A vision with these sections, as the vision's own tests bring it about by talking."""
    columns, values = ", ".join(texts), ", ".join(f"${place}" for place in range(4, 4 + len(texts)))
    (row,) = await viva.rows(
        person,
        f"""
        insert into vision_versions (title, version_number, status, is_active, {columns})
        values ('', $1, $2, $3, {values}) returning id
        """,
        number,
        status,
        status == "complete",
        *texts.values(),
    )
    return str(row["id"])


def _books(viva: Viva, person: Someone) -> list[tuple[dict[str, Any], PdfReader]]:
    messages = [screen.message for screen in person.screens if "document" in screen.message]
    chats = viva.telegram.chats
    return [(message, PdfReader(chats.blob(chats.files[message["document"]["file_id"]]))) for message in messages]


async def test_a_vision_comes_as_a_book_with_every_section_in_it_and_nothing_of_it_is_taken_for_markup(
    viva: Viva,
) -> None:
    ada = await viva.onboarded()
    screen = await ada.send("/book")
    assert screen is not None and "no section of your vision is written" in screen.text

    await write(viva, ada, **TEXTS)
    await ada.send("/vision")
    await ada.tap("As a book")
    ((message, book),) = _books(viva, ada)
    assert message["document"]["file_name"] == "My life vision - Ada.pdf"
    assert "as it stands today" in message["caption"]
    assert not any("setting your book" in text for text in ada.messages)
    cover, contents, *chapters = [page.extract_text() for page in book.pages]
    assert "My life vision" in cover and "Ada" in cover
    assert len(chapters) == len(TEXTS)
    for place, label in enumerate(("Forward", "Fun / Recreation", "Home / Environment", "Health / Vitality"), start=2):
        assert label in contents and label in chapters[place - 2]
        assert chapters[place - 2].rstrip().endswith(str(place))
    assert "It is good as it is." in chapters[0]
    plain = " ".join(chapters[1].split())
    assert 'I paint. #let x = 1 *not bold* $math$ @ref <label> \\ `raw` #image("/etc/passwd")' in plain
    assert "Я живу у моря." in chapters[2] and "我住在海边。" in chapters[3]
    assert [row["action_type"] for row in await viva.rows(ada, "select action_type from token_usage")] == []
    assert ada.screen.buttons == ["My life vision", "Main menu"]


async def test_of_two_versions_one_is_chosen_and_a_double_tap_makes_one_book(viva: Viva) -> None:
    ada, ben = await viva.onboarded("Ada"), await viva.onboarded("Ben")
    await write(viva, ada, status="complete", fun="I dance.", conclusion="So it is.")
    await ada.send("/book")
    ((_, book),) = _books(viva, ada)
    assert len(book.pages) == 4
    await write(viva, ada, number=2, fun="I dance and sing ཨོཾ.", conclusion="So it is.")
    screen = await ada.send("/book")
    assert screen is not None and screen.buttons[:2] == ["The draft I am working on", "The complete one"]
    data, message_id = screen.data("The draft"), screen.message["message_id"]
    for _ in range(3):
        await viva.telegram.tap_data(ada.account, message_id, data)
    await viva.quiet()
    _, (message, book) = _books(viva, ada)
    assert "I dance and sing" in book.pages[2].extract_text()
    assert "no letters for Tibetan" in message["caption"]
    await ben.send("/book")
    screen = await ben.tap_data(data)
    assert "I do not have that vision any more" in screen.text and _books(viva, ben) == []


async def test_a_book_comes_once_the_media_store_takes_it_again(viva: Viva, monkeypatch: pytest.MonkeyPatch) -> None:
    for counts in (lanes, work):  # however long this test looks on
        monkeypatch.setattr(counts, "GIVE_UP_AFTER", 1_000)
    ada = await viva.onboarded()
    await write(viva, ada, fun="I dance.")
    books = Path(unquote(urlsplit(viva.settings.media_location).path)) / "users" / str(await ada.user_id()) / "books"
    books.parent.mkdir(parents=True, exist_ok=True)
    books.write_text("in the way")
    await ada.send_without_waiting("/book")
    await ada.wait(lambda: any("setting your book" in text for text in ada.messages))
    failed = "select from viva.work where name = 'book.print' and attempts > 0"
    await comes_true(lambda: viva.service_rows(failed), failed)
    books.unlink()
    await viva.quiet()
    ((message, _),) = _books(viva, ada)
    assert "as it stands today" in message["caption"]
