"""Answers that do not end well: cut, stopped or misreported at any point, they are charged by the written rules."""

from __future__ import annotations

from typing import Any

import pytest

from bot.ai import tokens
from tests.world import PATIENCE, Someone, Viva

CHAT = "chat/completions"
WORDS = "One two three four five."
PIECES = 5


async def _latest(viva: Viva, person: Someone) -> dict[str, Any]:
    """The newest usage row, once the ledger is seen to be exact and nothing is held."""
    assert await viva.service_rows("select * from viva.ledger_differences()") == []
    assert await viva.service_rows("select 1 from viva.holds where state = 'open'") == []
    rows = await viva.rows(person, "select * from token_usage order by created_at desc, tokens_used desc limit 1")
    return rows[0]


async def _asked(viva: Viva) -> int:
    """The tokens of the newest question to the model, by our own count."""
    body = [request.body for request in viva.model.requests if request.path == CHAT][-1]
    assert body is not None
    return tokens.count_messages(body["messages"])


async def test_a_stream_cut_at_any_point_charges_the_question_and_what_came(viva: Viva) -> None:
    ada = await viva.onboarded()
    for cut in range(PIECES + 1):
        viva.model.script(CHAT, text=WORDS, cut_after=cut)
        await ada.send(f"Count for me, {cut}.")
        row = await _latest(viva, ada)
        if cut == 0:
            # Nothing came, so that try cost nothing, and the next one answered.
            failed = await viva.rows(ada, "select tokens_used, cost_estimate from token_usage where not success")
            assert failed == [{"tokens_used": 0, "cost_estimate": 0}]
            assert row["success"] and row["metadata"]["usage_from"] == "provider"
            continue
        came = " ".join(WORDS.split()[:cut]) + (" " if cut < PIECES else "")
        assert (row["success"], row["metadata"]["usage_from"]) == (False, "local_count")
        assert (row["input_tokens"], row["output_tokens"]) == (await _asked(viva), tokens.count(came))
        assert row["tokens_used"] == row["input_tokens"] + row["output_tokens"]
        assert came.strip() in ada.screen.text


async def test_a_stream_stopped_at_any_point_charges_the_question_and_what_came_until_then(
    viva: Viva, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow this machine is, the provider's figures are waited for.
    monkeypatch.setattr("bot.ai.stream.DRAIN_SECONDS", PATIENCE)
    ada = await viva.onboarded()
    for stopped in range(PIECES + 1):
        viva.model.script(CHAT, text=WORDS)
        viva.model.hold(after=stopped)
        drawn = len(ada.drafts)
        await ada.send_without_waiting(f"Count for me, {stopped}.")
        await viva.model.held()
        await ada.wait(lambda drawn=drawn: len(ada.drafts) > drawn)
        await viva.telegram.stop_draft(ada.account, ada.drafts[-1]["draft_id"])
        await ada.wait(lambda: viva.app is not None and any(job.stopped for job in _running(viva)))
        # The provider goes on at once, and so tells what it used.
        viva.model.release()
        await viva.quiet()
        row = await _latest(viva, ada)
        came = " ".join(WORDS.split()[:stopped]) + (" " if 0 < stopped < PIECES else "")
        assert (row["input_tokens"], row["output_tokens"]) == (await _asked(viva), tokens.count(came))
        assert row["metadata"]["usage_from"] == "drained"
        assert row["metadata"]["after_stop"] == tokens.count(WORDS) - tokens.count(came)
        assert row["success"] is (stopped > 0)


def _running(viva: Viva) -> list[Any]:
    assert viva.app is not None
    return list(viva.app.lanes._running_jobs.values())


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        {"prompt_tokens": 40, "completion_tokens": 0, "total_tokens": 40},
        {"prompt_tokens": "many", "completion_tokens": [], "total_tokens": None},
        {"prompt_tokens": 12.5, "completion_tokens": True, "total_tokens": 3},
        {"prompt_tokens": -7, "completion_tokens": 10**15, "total_tokens": 0},
        {"tokens": 5},
    ],
    ids=["none", "zero", "zero for words", "words", "fractions", "impossible", "another shape"],
)
async def test_a_provider_that_reports_nothing_zero_or_garbage_is_counted_by_ourselves(
    viva: Viva, usage: dict[str, Any] | None
) -> None:
    ada = await viva.onboarded()
    viva.model.script(CHAT, text=WORDS, **({"omit_usage": True} if usage is None else {"usage": usage}))
    await ada.send("Count for me.")
    assert WORDS in ada.screen.text
    row = await _latest(viva, ada)
    assert (row["success"], row["metadata"]["usage_from"]) == (True, "local_count")
    assert (row["input_tokens"], row["output_tokens"]) == (await _asked(viva), tokens.count(WORDS))


async def test_what_is_inside_is_not_charged_twice_nor_more_than_was_asked_at_all(viva: Viva) -> None:
    ada = await viva.onboarded()
    inside = {
        "prompt_tokens": 200,
        "completion_tokens": 30,
        "total_tokens": 230,
        "prompt_tokens_details": {"cached_tokens": 128},
        "completion_tokens_details": {"reasoning_tokens": 20},
    }
    viva.model.script(CHAT, text=WORDS, usage=inside)
    await ada.send("Count for me.")
    row = await _latest(viva, ada)
    assert row["tokens_used"] == 230
    assert (row["metadata"]["cached_tokens"], row["metadata"]["reasoning_tokens"]) == (128, 20)
    # More inside than there is around it cannot be.
    wrong = {"prompt_tokens_details": {"cached_tokens": 5_000}, "completion_tokens_details": {"reasoning_tokens": 900}}
    viva.model.script(CHAT, text=WORDS, usage=inside | wrong)
    await ada.send("Count once more.")
    row = await _latest(viva, ada)
    assert row["tokens_used"] == 230 and row["cost_estimate"] > 0
    assert (row["metadata"]["cached_tokens"], row["metadata"]["reasoning_tokens"]) == (200, 30)
    viva.model.script(CHAT, text=WORDS, usage=inside | {"prompt_tokens": 10**6, "total_tokens": 10**6 + 30})
    await ada.send("And once more.")
    row = await _latest(viva, ada)
    held = await viva.service_rows("select tokens from viva.holds order by created_at desc limit 1")
    assert row["tokens_used"] == held[0]["tokens"]
    assert row["metadata"]["beyond_hold"] == 10**6 + 30 - row["tokens_used"]


async def test_a_model_of_another_vocabulary_is_held_by_bytes_and_charged_by_our_count(viva: Viva) -> None:
    await viva.restart(viva_prices_file=_prices(viva), viva_chat_model="local-llama")
    ada = await viva.onboarded()
    viva.model.script(CHAT, text=WORDS, omit_usage=True)
    await ada.send("Count for me. " * 20)
    row = await _latest(viva, ada)
    held = await viva.service_rows("select tokens from viva.holds")
    assert row["input_tokens"] == await _asked(viva)
    assert held[0]["tokens"] > 3 * row["input_tokens"]


def _prices(viva: Viva) -> Any:
    file = viva.settings.viva_home / "prices.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        '[[text]]\nmodel = "local-llama"\nsince = 2025-01-01\ninput = "0.1"\ncached = "0.1"\noutput = "0.1"\n'
    )
    return file
