"""/balance: what is left, what was used, by what."""

from __future__ import annotations

from tests.world import Viva


async def test_before_any_call_the_whole_starting_grant_is_left(viva: Viva) -> None:
    ada = await viva.onboarded()
    screen = await ada.send("/balance")
    assert screen is not None
    assert f"{viva.settings.viva_starting_tokens:,} tokens left" in screen.text
    assert "You have used none yet" in screen.text


async def test_after_calls_the_balance_says_what_they_were_for_and_what_they_cost(viva: Viva) -> None:
    ada = await viva.onboarded()
    await ada.send("I want to paint again.")
    await ada.send_voice(seconds=6, words="I am glad of today.")
    usage = await viva.rows(ada, "select action_type, tokens_used, cost_estimate from token_usage order by created_at")
    assert [row["action_type"] for row in usage] == ["chat_conversation", "transcription"]
    assert all(row["tokens_used"] > 0 and row["cost_estimate"] > 0 for row in usage)
    screen = await ada.send("/balance")
    assert screen is not None
    left = viva.settings.viva_starting_tokens - sum(row["tokens_used"] for row in usage)
    assert f"{left:,} tokens left" in screen.text
    assert "Talking with you" in screen.text and "Listening to recordings" in screen.text
    assert "gpt-4.1-mini" in screen.text and "$0.00" in screen.text
    profile = (await viva.rows(ada, "select * from user_profiles"))[0]
    assert profile["vibe_assistant_tokens_remaining"] == left


async def test_nobody_can_change_their_own_balance(viva: Viva) -> None:
    ada = await viva.onboarded()
    refused = 0
    for statement in (
        "update user_profiles set vibe_assistant_tokens_remaining = 1000000",
        "update viva.wallets set balance = 1000000",
        "insert into viva.ledger (user_id, kind, amount, reference) values (auth.uid(), 'admin', 1000000, 'mine')",
        "insert into token_usage (action_type, model_used) values ('memory', 'mine')",
        "select viva.grant_tokens(auth.uid(), 1000000, 'admin', 'mine', null)",
    ):
        try:
            await viva.rows(ada, statement)
        except Exception as error:
            refused += type(error).__name__ == "InsufficientPrivilegeError"
    assert refused == 5
