"""/usage, what /balance says of the days to come, and the quiet warnings."""

from __future__ import annotations

import pytest

from handlers.journal import JournalTap
from storage import grants
from tests.conversations.test_reminders import daytime
from tests.world import Someone, Viva


async def _used(viva: Viva, person: Someone, *calls: tuple[str, int, int]) -> None:
    """Let calls have been made: (action type, tokens, days ago) each, through the meter's own functions."""
    user_id = await person.user_id()
    async with viva.database.as_service().transaction() as db:
        for number, (action, tokens, days_ago) in enumerate(calls):
            hold = await db.value("select gen_random_uuid()")
            await db.execute(
                "select viva.hold($1, $2, $3, 'answer', $4, 'gpt-4.1-mini', $5, $5)",
                hold,
                user_id,
                -1 - number,
                action,
                tokens,
            )
            usage = await db.value(
                "select viva.settle($1, $2, $2::bigint::integer - 1, 1, 0.1234, true, null, '{}')", hold, tokens
            )
            await db.execute(
                "update token_usage set created_at = now() - $2 * interval '1 day' where id = $1", usage, days_ago
            )


async def _at_age(viva: Viva, person: Someone, days: int) -> None:
    """Let the person have come `days` days ago."""
    user_id = await person.user_id()
    async with viva.database.as_service().transaction() as db:
        await db.execute(
            "update viva.wallets set created_at = created_at - $2 * interval '1 day',"
            " drip_at = drip_at - $2 * interval '1 day' where user_id = $1",
            user_id,
            days,
        )


async def test_usage_without_a_call_says_what_is_counted(viva: Viva) -> None:
    ada = await viva.onboarded()
    screen = await ada.send("/usage")
    assert screen is not None
    assert "There was no call yet" in screen.text
    assert screen.buttons == ["Balance", "Main menu"]


async def test_each_call_is_listed_with_what_for_model_tokens_cost_and_when(viva: Viva) -> None:
    ada = await viva.onboarded(time_zone=None)
    await ada.send("I want to paint again.")
    call = (await viva.rows(ada, "select * from token_usage"))[0]
    await ada.send("/balance")
    screen = await ada.tap("Each call")
    assert "One call so far" in screen.text
    assert "Talking with you" in screen.text and "gpt-4.1-mini" in screen.text
    figures = f"{call['tokens_used']:,} tokens ({call['input_tokens']:,} in, {call['output_tokens']:,} out), $0.0"
    assert figures in screen.text
    assert f"{call['created_at'].day} {call['created_at']:%b %H:%M}" in screen.text
    assert "Times are in UTC" in screen.text


async def test_times_are_the_persons_own_where_their_time_zone_is_known(viva: Viva) -> None:
    ada = await viva.onboarded()
    await _used(viva, ada, ("chat_conversation", 500, 0))
    async with viva.database.as_user(await ada.user_id()).transaction() as db:
        await db.execute("update viva.telegram_accounts set time_zone = 'Asia/Kolkata'")
        own = await db.value("select to_char(created_at at time zone 'Asia/Kolkata', 'HH24:MI') from token_usage")
    screen = await ada.send("/usage")
    assert screen is not None
    assert own in screen.text and "UTC" not in screen.text


async def test_calls_are_paged_and_a_page_that_is_not_there_leads_to_the_last(viva: Viva) -> None:
    ada = await viva.onboarded()
    await _used(viva, ada, *(("chat_conversation", 1_000 + number, number) for number in range(14)))
    screen = await ada.send("/usage")
    assert screen is not None
    assert "1 to 6 of 14" in screen.text and "1,000 tokens" in screen.text
    assert screen.rows[0] == ["Older"]
    screen = await ada.tap("Older")
    assert "7 to 12 of 14" in screen.text and "1,006 tokens" in screen.text
    assert screen.rows[0] == ["Newer", "Older"]
    screen = await ada.tap_data("usage:4000000")
    assert "13 to 14 of 14" in screen.text
    assert screen.rows[0] == ["Newer"]
    screen = await ada.tap_data("usage:-5")
    assert "1 to 6 of 14" in screen.text


async def test_nobody_sees_the_calls_of_another(viva: Viva) -> None:
    ada, ben = await viva.onboarded("Ada"), await viva.onboarded("Ben")
    await _used(viva, ada, ("chat_conversation", 500, 0))
    screen = await ben.send("/usage")
    assert screen is not None
    assert "There was no call yet" in screen.text


async def test_the_last_thirty_days_come_as_a_picture_that_says_in_words_what_it_shows(viva: Viva) -> None:
    ada = await viva.onboarded(time_zone=daytime())  # where no day ends meanwhile
    await _used(
        viva,
        ada,
        ("chat_conversation", 1_200, 0),
        ("chat_conversation", 800, 12),
        ("vision_generation", 5_000, 3),
        ("transcription", 90, 29),
        ("chat_conversation", 7_777, 31),
    )
    await ada.send("/usage")
    data = ada.screen.data("Picture")
    await ada.tap("Picture")
    await ada.tap_data(data)
    pictures = [screen for screen in ada.screens if screen.photo]
    assert len(pictures) == 1, "a double tap sends one picture"
    assert pictures[0].text.splitlines() == [
        "In the last thirty days 7,090 tokens were used.",
        "",
        "Talking and remembering: 2,000",
        "Your vision: 5,000",
        "Listening to recordings: 90",
    ]


async def test_a_month_without_use_is_said_instead_of_drawn(viva: Viva) -> None:
    ada = await viva.onboarded()
    await _used(viva, ada, ("chat_conversation", 800, 40))
    await ada.send("/usage")
    await ada.tap("Picture")
    assert "Nothing was used" in ada.screen.text


# --- /balance ----------------------------------------------------------------------------------------------


async def test_the_balance_says_when_more_comes_and_how_much(viva: Viva) -> None:
    ada = await viva.onboarded()
    due = (await viva.rows(ada, "select drip_at from viva.wallets"))[0]["drip_at"]
    screen = await ada.send("/balance")
    assert screen is not None
    assert f"100,000 more come on {due.day} {due:%B}" in screen.text
    assert "pace" not in screen.text
    await viva.restart(viva_drip_tokens=0)
    screen = await ada.send("/balance")
    assert screen is not None
    assert "more come" not in screen.text


async def test_the_balance_says_how_long_it_lasts_at_this_months_pace(viva: Viva) -> None:
    ada = await viva.onboarded()
    await _at_age(viva, ada, 9)
    await _used(viva, ada, ("chat_conversation", 40_000, 4), ("vision_generation", 10_000, 1))
    screen = await ada.send("/balance")
    assert screen is not None
    # 50,000 in ten days, with 150,000 left.
    assert "At this month's pace they last about 30 days" in screen.text


async def test_what_is_in_flight_stands_apart_from_what_is_left(viva: Viva) -> None:
    ada = await viva.onboarded()
    user_id = await ada.user_id()
    async with viva.database.as_service().transaction() as db:
        await db.execute(
            "select viva.hold(gen_random_uuid(), $1, -1, 'answer', 'chat_conversation', 'gpt-4.1-mini', 4000, 1)",
            user_id,
        )
    screen = await ada.send("/balance")
    assert screen is not None
    assert "200,000 tokens left" in screen.text and "4,000 of them are set aside" in screen.text


async def test_tokens_that_will_end_are_named_with_their_day(viva: Viva) -> None:
    ada = await viva.onboarded()
    user_id = await ada.user_id()
    async with viva.database.as_service().transaction() as db:
        await db.execute("update viva.wallets set drip_at = now(), created_at = now() - interval '672 hours'")
        assert await db.value("select viva.drip($1, 100000, 1)", user_id) is True
    ends = (await viva.rows(ada, "select expires_at from viva.grants where kind = 'drip'"))[0]["expires_at"]
    screen = await ada.send("/balance")
    assert screen is not None
    assert f"100,000 of them end on {ends.day} {ends:%B} if they are not used by then" in screen.text


# --- warnings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spent", "warned"), [(100_000, None), (161_000, "a fifth of what you had"), (191_000, "a twentieth")]
)
async def test_the_answer_that_crosses_a_mark_is_followed_by_one_quiet_note(
    viva: Viva, spent: int, warned: str | None
) -> None:
    ada = await viva.onboarded()
    await _used(viva, ada, ("chat_conversation", spent, 0))
    before = len(ada.messages)
    await ada.send("I want to paint again.")
    await ada.send("With oil, I think.")
    notes = [text for text in ada.messages[before:] if "A small note" in text]
    assert len(notes) == (warned is not None)
    if warned is not None:
        assert warned in notes[0]
        assert ada.messages.index(notes[0]) > before, "the note comes after the answer"


async def test_a_grant_makes_the_next_crossing_count_anew(viva: Viva) -> None:
    ada = await viva.onboarded()
    user_id = await ada.user_id()

    async def low() -> int | None:
        async with viva.database.as_user(user_id).transaction() as db:
            percent: int | None = await db.value("select viva.warn_if_low()")
            return percent

    await _used(viva, ada, ("chat_conversation", 165_000, 0))
    assert [await low(), await low()] == [20, None]
    await _used(viva, ada, ("chat_conversation", 30_000, 0))
    assert [await low(), await low()] == [5, None]
    async with viva.database.as_service().transaction() as db:
        await db.execute("select viva.grant_tokens($1, 95000, 'purchase', 'stars:1', null)", user_id)
    assert await low() is None
    await _used(viva, ada, ("chat_conversation", 81_000, 0))
    assert [await low(), await low()] == [20, None]


async def test_who_gets_or_loses_tokens_by_an_admin_is_told_once_and_quietly(viva: Viva) -> None:
    ada = await viva.onboarded()
    user_id = await ada.user_id()
    before = len(ada.messages)
    async with viva.database.as_service().transaction() as db:
        for _ in range(2):
            assert (await grants.adjust(db, user_id=user_id, amount=5_000, reference="gift", reason="Monday")).done
    await viva.quiet()
    assert "5,000 tokens were added to your balance" in ada.screen.text and "Monday" not in ada.screen.text
    assert ada.screen.buttons == ["Balance"]
    async with viva.database.as_service().transaction() as db:
        assert (await grants.adjust(db, user_id=user_id, amount=-700, reference="less", reason="mistake")).done
        assert not (await grants.adjust(db, user_id=user_id, amount=-(10**9), reference="all", reason="no")).done
    await viva.quiet()
    assert "took 700 tokens off your balance" in ada.screen.text
    assert len(ada.messages) == before + 2


async def test_monthly_tokens_are_told_to_who_was_low_and_to_nobody_else(viva: Viva) -> None:
    ada, ben = await viva.onboarded("Ada"), await viva.onboarded("Ben")
    await _used(viva, ada, ("chat_conversation", 199_000, 0))
    async with viva.database.as_user(await ada.user_id()).transaction() as db:
        assert await db.value("select viva.warn_if_low()") == 5
    before = len(ben.messages)
    for _ in range(2):
        async with viva.database.as_service().transaction() as db:
            await db.execute("select viva.drip_due(30000, 2, 10, now() + interval '29 days')")
        await viva.quiet()
    assert sum("this month's 30,000 tokens are here" in text for text in ada.messages) == 1
    assert len(ben.messages) == before
    assert await viva.service_rows("select * from viva.ledger_differences()") == []


async def test_a_price_tag_says_what_it_really_took_the_last_times(viva: Viva) -> None:
    ada = await viva.onboarded()
    await ada.send("/home")
    screen = await ada.tap_data(JournalTap(step="weekly_price").pack())
    assert "This takes about" in screen.text and "The last" not in screen.text
    user_id = await ada.user_id()
    async with viva.database.as_service().transaction() as db:
        for work, step, tokens in ((901, "reflection", 3_000), (902, "reflection", 4_100), (903, "suggestion", 90)):
            await db.execute(
                """
                with held as (
                  select gen_random_uuid() as id
                )
                select viva.hold(held.id, $1, $2, $3, 'journal_reflection', 'gpt-4.1-mini', $4, 1),
                       viva.settle(held.id, $4, $4::integer, 0, 0.01, true, null, '{}')
                  from held
                """,
                user_id,
                work,
                step,
                tokens,
            )
    screen = await ada.tap_data(JournalTap(step="weekly_price").pack())
    assert "The last 2 times it took you 3,000 to 4,100." in screen.text
