"""Finding in the journal: a month of buttons, and a search in words."""

from __future__ import annotations

from datetime import date

from handlers.journal import EntryTap
from handlers.journal_find import DayTap, HitsTap, MonthTap
from tests.world import Someone, Viva


async def _diary(viva: Viva, person: Someone, *entries: tuple[str, str]) -> None:
    for day, words in entries:
        await viva.rows(
            person, "insert into journal_entries (date, content) values ($1, $2)", date.fromisoformat(day), words
        )


async def test_a_month_marks_days_with_entries_and_any_past_day_can_be_written_for(viva: Viva) -> None:
    ada = await viva.onboarded()
    await _diary(viva, ada, ("2024-02-29", "A leap day."), ("2024-02-10", "One."), ("2024-02-10", "Two."))
    await ada.send("/journal")
    await ada.tap("Calendar")
    await ada.tap_data(MonthTap(month="2024-02").pack())
    assert ada.screen.rows[0] == ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"]
    assert ada.screen.rows[1] == ["·", "·", "·", "1", "2", "3", "4"]
    assert [label for label in ada.screen.buttons if label.startswith("•")] == ["•10", "•29"]
    await ada.tap("•29")
    assert "A leap day." in ada.screen.text
    await ada.tap_data(DayTap(day="2024-02-10").pack())
    assert [label for label in ada.screen.buttons if "10 Feb" in label] == ["10 Feb 2024  One.", "10 Feb 2024  Two."]
    await ada.tap_data(DayTap(day="2024-02-11").pack())
    assert "Nothing is kept of this day" in ada.screen.text
    await ada.tap("Write for this day")
    await ada.send("Remembered later.")
    days = await viva.rows(ada, "select date from journal_entries where content = 'Remembered later.'")
    assert days == [{"date": date(2024, 2, 11)}]
    for forged in (MonthTap(month="2024-13"), DayTap(day="yesterday")):
        await ada.tap_data(forged.pack())
        assert "not in my calendar" in ada.screen.text


async def test_a_question_finds_what_was_written_and_said_newest_first_with_its_sentence(viva: Viva) -> None:
    ada, eve = await viva.onboarded("Ada"), await viva.onboarded("Eve")
    await _diary(
        viva,
        ada,
        ("2024-05-01", "It was the last day of work. I wrote a long letter."),
        ("2024-03-02", "Rain all day. My father's garden is full of beans. I came home late."),
        ("2025-07-09", "Two fathers on the bench, talking."),
        ("2023-01-05", "A grandfather clock in the hall."),
    )
    await ada.send_voice(words="I called my father. He was glad.")
    await _diary(viva, eve, ("2025-01-01", "Her father is not mine."))
    await ada.send("/journal search when did I last write about my father?")
    text = ada.screen.text
    assert "3 entries speak of it" in text
    assert text.index("I called my father.") < text.index("Two fathers") < text.index("My father's garden")
    assert "Rain all day" not in text and "long letter" not in text and "Her father" not in text
    assert {text[e["offset"] : e["offset"] + e["length"]] for e in ada.screen.message["entities"]} >= {
        "father",
        "fathers",
    }
    await ada.tap("3.  02 Mar 2024")
    assert "full of beans" in ada.screen.text
    assert await viva.rows(ada, "select waiting_for ->> 'kind' as kind from viva.telegram_accounts") == [
        {"kind": "journal_found"}
    ]
    # A part of a word, a word that only one of two has, and nothing at all.
    await ada.send("/journal")
    await ada.tap("Search")
    await ada.send("andfath")
    assert "grandfather clock" in ada.screen.text
    await ada.tap("Search again")
    await ada.send("beans elephant")
    assert "None has all of these words" in ada.screen.text and "full of beans" in ada.screen.text
    await ada.tap("Search again")
    await ada.send("100%_sure' or ''='")
    assert "I found nothing of it" in ada.screen.text
    assert viva.model.requests[1:] == []
    await eve.tap_data(EntryTap(id=(await viva.rows(ada, "select id from journal_entries limit 1"))[0]["id"]).pack())
    assert "not in your journal" in eve.screen.text


async def test_many_hits_are_turned_page_by_page_also_after_a_restart(viva: Viva) -> None:
    ada = await viva.onboarded()
    await _diary(viva, ada, *((f"2024-01-{day:02}", f"Swimming, day {day}.") for day in range(1, 9)))
    await ada.send("/journal search swim")
    assert "8 entries" in ada.screen.text and "day 8." in ada.screen.text and "day 3." not in ada.screen.text
    await viva.restart()
    await ada.tap("Older")
    assert "day 3." in ada.screen.text and "day 4." not in ada.screen.text
    await ada.tap("Newer")
    assert "day 8." in ada.screen.text
    await ada.send("/cancel")
    await ada.send("/journal")
    await ada.tap_data(HitsTap(page=1).pack())
    assert "That search is over" in ada.screen.text


async def test_another_language_is_searched_by_its_own_endings(viva: Viva) -> None:
    ada = await viva.onboarded()
    await viva.rows(ada, "update viva.telegram_accounts set language_code = 'de'")
    await _diary(viva, ada, ("2024-04-01", "Die Gärten am Fluss blühen."), ("2024-04-02", "Nur Arbeit."))
    await ada.send("/journal search wann habe ich zuletzt über den Garten geschrieben")
    assert "One entry speaks of it" in ada.screen.text and "Die Gärten am Fluss blühen." in ada.screen.text
