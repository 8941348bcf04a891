"""The time zone: asked once and kindly, answered by a tap, and what a day of the journal goes by."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bot.services import time_zone as service
from handlers.home import OpenTap
from handlers.time_zone import ZonesTap, ZoneTap
from prompts import time_zone as words
from storage import people
from tests.world import Viva


async def test_the_first_entry_asks_once_where_one_is_and_comes_back_to_the_journal(viva: Viva) -> None:
    ada = await viva.onboarded(time_zone=None)
    await ada.send("/journal It rained, and I liked it.")
    assert "where are you?" in ada.screen.text
    assert any("Kept in your journal" in text for text in ada.messages)
    assert any(label.startswith("New York  ") for label in ada.screen.buttons)
    await ada.tap("Somewhere else")
    await ada.tap("Australia")
    await ada.tap("Auckland")
    assert "Noted: Auckland" in ada.screen.text
    await ada.tap("Go on")
    assert any("It rained" in label for label in ada.screen.buttons)
    await ada.send("/journal And again.")
    assert "Kept in your journal" in ada.screen.text


async def test_an_entry_stands_under_the_person_s_own_day_also_when_the_zone_comes_later(viva: Viva) -> None:
    ada = await viva.onboarded(time_zone=None)
    await ada.send("/journal Before you knew.")
    # Of these two, one always has another day than UTC: Kiritimati from ten o'clock on, Pago Pago until eleven.
    now = datetime.now(UTC)
    far = "Pacific/Kiritimati" if (now.hour, now.minute) >= (10, 30) else "Pacific/Pago_Pago"
    await ada.tap_data(ZoneTap(name=far, back="journal").pack())
    await ada.send("/journal And after.")
    rows = await viva.rows(
        ada,
        """
        select date, (created_at at time zone $1)::date as there, (created_at at time zone 'UTC')::date as here
          from journal_entries
        """,
        far,
    )
    assert len(rows) == 2
    assert [row["date"] for row in rows] == [row["there"] for row in rows]
    assert all(row["date"] != row["here"] for row in rows)


async def test_a_city_a_country_or_the_time_on_the_clock_finds_the_zone(viva: Viva) -> None:
    ada = await viva.onboarded(time_zone=None)
    await ada.send("/help")
    await ada.tap("My time zone")
    await ada.tap("Type my city")
    await ada.send("xqzzv")
    assert "nearest large city" in ada.screen.text
    await ada.send("muenchen or Munich")
    assert ada.screen.buttons[0].startswith("Berlin")
    await ada.send(f"{datetime.now(UTC) + timedelta(hours=9):%H:%M}")
    assert any(label.startswith("Tokyo") for label in ada.screen.buttons)
    await ada.tap("Tokyo")
    assert (await viva.rows(ada, "select time_zone from viva.telegram_accounts"))[0]["time_zone"] == "Asia/Tokyo"
    await ada.tap("Another time zone")
    assert "Your clock is that of Tokyo" in ada.screen.text
    await ada.tap("Not now")
    assert "What you can do here" in ada.screen.text


async def test_whoever_confides_instead_of_naming_a_city_is_heard(viva: Viva) -> None:
    ada = await viva.onboarded(time_zone=None)
    await ada.tap_data(ZonesTap(step="type", back="journal").pack())
    await ada.send("I do not know where I am in my life any more, honestly.")
    (asked,) = await viva.rows(ada, "select message from ai_conversations where role = 'user'")
    assert "honestly" in asked["message"]


async def test_a_forged_zone_or_way_back_does_no_harm(viva: Viva) -> None:
    ada = await viva.onboarded(time_zone=None)
    await ada.tap_data(ZoneTap(name="Mars/Base", back="journal").pack())
    assert "do not have that time zone" in ada.screen.text
    await ada.tap_data(ZonesTap(step="nowhere", back="journal").pack())
    assert "do not have that time zone" in ada.screen.text
    await ada.tap_data(ZoneTap(name="Europe/Rome", back="no_such_feature").pack())
    await ada.tap_data(OpenTap(feature="no_such_feature").pack())
    assert "Good to see you" in ada.screen.text


async def test_every_zone_that_is_offered_is_known_to_the_database_and_fits_a_button(viva: Viva) -> None:
    ada = await viva.onboarded()
    async with viva.database.as_user(await ada.user_id()).transaction() as db:
        known = await people.zones(db)
    names = {zone.name for zone in known}
    offered = [name for region in words.zones().regions for name in region.zones]
    assert [name for name in offered if name not in names] == [] and len(set(offered)) == len(offered)
    assert [name for tag in words.zones().languages.values() for name in tag if name not in offered] == []
    for name in names:
        ZoneTap(name=name, back="a_feature_of_20_char").pack()
    now = datetime.now(UTC)
    for typed, name in [
        ("Bombay", None),
        ("mumbai", "Asia/Kolkata"),
        ("sao paulo", "America/Sao_Paulo"),
        ("Zürich", "Europe/Zurich"),
        ("europe/lisbon", "Europe/Lisbon"),
        ("Barcelna", "Europe/Madrid"),
        ("I live in Kyoto, Japan", "Asia/Tokyo"),
        ("Ushuaia", "America/Argentina/Ushuaia"),
        ("san fran", "America/Los_Angeles"),
        ("", None),
        ("25:99", None),
    ]:
        assert (service.find(typed, known, now=now) or [None])[0] == name, typed
    for typed, hour in [("2:35 pm", 14), ("14:35", 14), ("2pm", 14), ("12:10 am", 0)]:
        minute = 35 if "35" in typed else 10 if "10" in typed else 0
        there = service.find(typed, known, now=now.replace(hour=hour, minute=minute))
        assert "Europe/London" in there or now.month in range(3, 11), typed
