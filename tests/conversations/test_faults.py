"""When the model fails, in each of its ways: a sentence, a way to go on, the words kept, the charge by the rules."""

from __future__ import annotations

from typing import Any

import pytest

from bot.ai import provider
from bot.services import work
from handlers import fallback
from tests.engine.crew import ONE_HOUR
from tests.world import Someone, Viva

CHAT = "chat/completions"
SAID = "I would like to write every morning."


async def turns(viva: Viva, person: Someone) -> list[tuple[str, str]]:
    """What was said, by whom."""
    rows = await viva.rows(person, "select role, message from ai_conversations order by created_at, id")
    return [(row["role"], row["message"]) for row in rows]


async def charges(viva: Viva, person: Someone) -> list[tuple[bool, bool]]:
    """Each call: whether it gave something, and whether it was charged."""
    assert await viva.service_rows("select * from viva.ledger_differences()") == []
    assert await viva.service_rows("select 1 from viva.holds where state = 'open'") == []
    rows = await viva.rows(person, "select success, tokens_used from token_usage order by created_at")
    return [(row["success"], row["tokens_used"] > 0) for row in rows]


@pytest.mark.parametrize(
    ("fault", "calls"),
    [
        pytest.param({"status": 429, "retry_after": 0.01}, 2, id="busy, and says for how long"),
        pytest.param({"status": 429}, 2, id="busy"),
        pytest.param({"status": 500}, 2, id="a fault of the provider"),
        pytest.param({"status": 400, "code": "context_length_exceeded"}, 2, id="more than the model can read"),
        pytest.param(
            {"status": 400, "message": "This model's maximum context length is 9 tokens."}, 2, id="more, in words"
        ),
        pytest.param({"fault": {"type": "exceed_context_size_error", "code": 400}}, 2, id="more, said in the stream"),
        pytest.param({"fault": {"message": "overloaded"}}, 2, id="busy, said in the stream"),
        pytest.param({"malformed": True}, 2, id="what is no JSON"),
        pytest.param({"cut_after": 0}, 2, id="a stream that breaks before its first word"),
    ],
)
async def test_what_may_pass_is_tried_again_unseen(viva: Viva, fault: dict[str, Any], calls: int) -> None:
    ada = await viva.onboarded()
    viva.model.script(CHAT, **fault)
    before = len(ada.screens)
    await ada.send(SAID)
    assert len(ada.screens) == before + 1 and len(viva.model.requests) == calls
    assert [role for role, _ in await turns(viva, ada)] == ["user", "assistant"]
    assert await charges(viva, ada) == [(False, False)] * (calls - 1) + [(True, True)]


@pytest.mark.parametrize(
    ("fault", "charged"),
    [
        pytest.param({"status": 429, "code": "insufficient_quota"}, False, id="its account is used up"),
        pytest.param({"fault": {"code": "insufficient_quota"}}, False, id="its account is used up, said in the stream"),
        pytest.param({"status": 402}, False, id="its account is empty"),
        pytest.param({"status": 429, "retry_after": 7200}, False, id="busy for hours"),
        pytest.param({"status": 401}, False, id="its key has expired"),
        pytest.param({"status": 403}, False, id="it is not allowed"),
        pytest.param({"status": 400}, False, id="it refuses the request"),
        pytest.param({"text": "", "finish_reason": "content_filter"}, True, id="its censor leaves no word"),
        pytest.param({"text": "I cannot help with that.", "refusal": True}, True, id="it declines in words of its own"),
    ],
)
async def test_what_will_not_pass_is_said_at_once_with_a_way_to_go_on(
    viva: Viva, fault: dict[str, Any], charged: bool
) -> None:
    ada = await viva.onboarded()
    viva.model.script(CHAT, **fault)
    await ada.send(SAID)
    assert len(viva.model.requests) == 1
    assert "What you sent is kept" in ada.screen.text
    assert await charges(viva, ada) == [(False, charged)]
    await ada.tap("Try again")
    assert [role for role, _ in await turns(viva, ada)] == ["user", "assistant"]
    assert await charges(viva, ada) == [(False, charged), (True, True)]


async def test_a_text_that_is_too_long_for_the_model_is_packed_smaller_and_still_holds_the_last_words(
    viva: Viva,
) -> None:
    await viva.restart(viva_context_tokens=6_000)
    ada = await viva.onboarded()
    for number in range(4):
        await ada.send(f"Thought {number}. " + "I keep coming back to the sea and the light there. " * 70)
    viva.model.requests.clear()
    viva.model.script(CHAT, status=400, code="context_length_exceeded", times=2)
    await ada.send("What did I say last?")
    sizes = [len(str(request.body)) for request in viva.model.requests]
    assert len(sizes) == 3 and sizes[0] > sizes[1] > sizes[2]
    last = viva.model.requests[-1].body
    assert last is not None and last["messages"][-1]["content"] == "What did I say last?"


async def _with_home(viva: Viva) -> Someone:
    ada = await viva.onboarded()
    await viva.rows(ada, "insert into vision_versions (home) values ($1)", "I live near the sea in Lisbon.")
    await ada.send("/vision")
    await ada.tap("🏡 Home")
    return ada


@pytest.mark.parametrize(
    ("fault", "times", "expected"),
    [
        pytest.param({"text": '{"said": 5}'}, 1, [(False, True), (True, True)], id="misshapen once"),
        pytest.param({"text": '{"said": 5}'}, 2, [(False, True)] * 2, id="misshapen twice"),
        pytest.param({"text": "I will not.", "refusal": True}, 1, [(False, True)], id="declined"),
        pytest.param({"delay": 60}, 1, [(False, False), (True, True)], id="silent before its first byte"),
    ],
)
async def test_what_is_asked_for_in_a_shape_meets_faults_as_a_talk_does(
    viva: Viva, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any], times: int, expected: list[tuple[bool, bool]]
) -> None:
    # The second try, which is answered, has so long on a busy machine.
    monkeypatch.setattr(provider, "READ_SECONDS", 5 if "delay" in fault else 60)
    await viva.restart()
    ada = await _with_home(viva)
    await ada.tap("Change it by talking")
    viva.model.script(CHAT, times=times, **fault)
    await ada.send("Add my sister Clara.")
    assert await charges(viva, ada) == expected
    if not expected[-1][0]:
        assert "What you sent is kept" in ada.screen.text
        await ada.tap("Try again")
    assert "I have added one sentence" in ada.screen.text


async def test_material_that_is_too_long_for_the_model_is_read_as_far_as_it_goes(viva: Viva) -> None:
    ada = await viva.onboarded()
    await ada.send("/vision")
    await ada.tap("🏡 Home")
    await ada.tap("Draft")
    too_long = {"status": 400, "message": "The request exceeds the available context size.", "times": 2}
    for kind in ("draft", "title"):
        if kind == "title":
            await ada.send("/journal " + "I walked by the sea with my sister and we talked of the years. " * 50)
            await ada.tap("Change")
        viva.model.requests.clear()
        viva.model.script(CHAT, **too_long)
        if kind == "title":
            await ada.tap("Suggest a title")
        else:
            await ada.send("I live near the sea, and I love the morning light there. " * 50)
        sizes = [len(str(request.body)) for request in viva.model.requests[:3]]
        assert sizes[0] > sizes[1] > sizes[2]
        assert (await charges(viva, ada))[-1] == (True, True)
        assert "What you sent is kept" not in ada.screen.text


async def test_a_stream_that_falls_silent_keeps_what_came_and_says_so(
    viva: Viva, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider, "READ_SECONDS", 5)  # so long the first words may take on a busy machine
    await viva.restart()
    ada = await viva.onboarded()
    viva.model.hold(after=4)
    await ada.send(SAID)
    viva.model.release()
    (_, said), (role, answer) = await turns(viva, ada)
    assert (said, role) == (SAID, "assistant") and answer
    assert "broke off" in ada.screen.text
    assert await charges(viva, ada) == [(False, True)]


async def test_an_answer_that_the_censor_cuts_is_shown_as_cut(viva: Viva) -> None:
    ada = await viva.onboarded()
    viva.model.script(CHAT, text="That is a good", finish_reason="content_filter")
    await ada.send(SAID)
    assert "That is a good" in ada.screen.text and "broke off" in ada.screen.text


async def test_of_a_key_that_expired_the_admins_hear_once(viva: Viva, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fallback, "datetime", ONE_HOUR)
    ada, boss = await viva.onboarded(), await viva.onboarded("Boss")
    await viva.restart(viva_admin_ids=frozenset([boss.id]))
    viva.model.script(CHAT, status=401, times=2)
    await ada.send(SAID)
    await ada.send("And another thought.")
    assert len([text for text in boss.messages if "does not let VIVA in" in text]) == 1


# ------------------------------------------------------------------------------------------ no drafts


async def test_where_telegram_takes_no_drafts_the_answer_grows_by_edits_and_then_stands_whole(
    viva: Viva, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "EDIT_SECONDS", 0.0)
    ada = await viva.onboarded()
    viva.telegram.fail_next("sendMessageDraft", 400, "Bad Request: TEXTDRAFT_PEER_INVALID", times=1_000)
    viva.model.hold(after=0)
    await ada.send_without_waiting(SAID)
    await ada.wait(lambda: viva.app is not None and viva.app._frames.refused(ada.id))
    viva.model.release()
    await viva.quiet()
    before = len(ada.messages)
    viva.model.hold(after=4)
    await ada.send_without_waiting("And every evening.")
    await viva.model.held()
    await ada.wait(lambda: any(text.endswith("\N{HORIZONTAL ELLIPSIS}") for text in ada.messages[before:]))
    viva.model.release()
    await viva.quiet()
    assert ada.messages[before:] == [(await turns(viva, ada))[-1][1]]

    # Where it never came, or was taken away, nothing of it is sent anew, and nobody is asked about it.
    for lose_it in (lambda: viva.telegram.cut_next("sendMessage", done_first=False), None):
        before = len(ada.messages)
        viva.model.hold(after=4)
        if lose_it is not None:
            lose_it()
        else:
            viva.telegram.fail_next("editMessageText", 400, "Bad Request: message to edit not found", times=50)
        await ada.send_without_waiting("And at noon.")
        await viva.model.held()
        await ada.wait(lambda: all(fault.method != "sendmessage" for fault in viva.telegram._faults))
        viva.model.release()
        await viva.quiet()
        assert ada.messages[before:] == [(await turns(viva, ada))[-1][1]]


async def test_after_a_flood_answer_to_a_draft_no_more_is_drawn_and_the_answer_comes_at_once_and_whole(
    viva: Viva,
) -> None:
    ada = await viva.onboarded()
    before, frames = len(ada.messages), len(ada.drafts)
    viva.telegram.fail_next("sendMessageDraft", 429, "Too Many Requests: retry after 300", retry_after=300)
    viva.model.hold(after=4)
    await ada.send_without_waiting(SAID)
    await viva.model.held()
    await ada.wait(lambda: not viva.telegram._faults)
    viva.model.release()
    await viva.quiet()
    assert ada.messages[before:] == [(await turns(viva, ada))[-1][1]]
    assert len(ada.drafts) == frames and viva.app is not None and not viva.app._frames.refused(ada.id)


# --------------------------------------------------------------------------------------------- files


async def test_a_recording_that_telegram_does_not_hand_out_just_now_is_fetched_when_it_does(viva: Viva) -> None:
    ada = await viva.onboarded()
    viva.telegram.fail_next("getFile", 429, "Too Many Requests: retry after 1", retry_after=1, times=2)
    gone = "Bad Request: wrong file_id or the file is temporarily unavailable"
    viva.telegram.fail_next("getFile", 400, gone)
    await ada.send_voice(words=SAID)
    assert any(SAID in text for text in ada.messages) or (await turns(viva, ada))[0][1] == SAID
    # Only what may be gone for good took a try.
    assert await viva.service_rows("select max(attempts) as most from viva.work") == [{"most": 1}]


# ------------------------------------------------------------------------------------ second thoughts


async def test_words_changed_before_they_are_answered_are_answered_as_changed(viva: Viva) -> None:
    ada = await viva.onboarded()
    viva.model.hold(after=0)
    await ada.send_without_waiting("The first thought.")
    await viva.model.held()
    await ada.send_without_waiting("I want to learn to swin.")
    await ada.wait(lambda: viva.telegram.messages(ada.account)[-1].get("text") == "I want to learn to swin.")
    message = viva.telegram.messages(ada.account)[-1]
    await viva.telegram.edit_text(ada.account, message["message_id"], "I want to learn to swim.")
    await ada.wait(lambda: any("taken your change in" in text for text in ada.messages))
    viva.model.release()
    await viva.quiet()
    assert [text for role, text in await turns(viva, ada) if role == "user"] == [
        "The first thought.",
        "I want to learn to swim.",
    ]
    last = viva.model.requests[-1].body
    assert last is not None and last["messages"][-1]["content"] == "I want to learn to swim."


async def test_a_change_that_comes_too_late_or_elsewhere_is_met_kindly_and_changes_nothing(viva: Viva) -> None:
    ada = await viva.onboarded()
    await ada.send("I want to learn to swim.")
    mine = [one for one in viva.telegram.messages(ada.account) if not one["from"]["is_bot"]]
    await viva.telegram.edit_text(ada.account, mine[-1]["message_id"], "I want to learn to fly.")
    await viva.quiet()
    assert "my answer is to the words before" in ada.screen.text and ada.screen.buttons
    await viva.telegram.edit_text(ada.account, mine[0]["message_id"], "/start over")
    await viva.quiet()
    assert "I keep it as it first came" in ada.screen.text
    assert [text for role, text in await turns(viva, ada) if role == "user"] == ["I want to learn to swim."]


async def test_who_changes_unanswered_words_to_words_of_danger_can_talk_all_the_same(viva: Viva) -> None:
    ada = await viva.onboarded()
    viva.model.script(CHAT, status=400, message="no")
    await ada.send("I feel low.")
    assert [role for role, _ in await turns(viva, ada)] == ["user"]
    mine = [one for one in viva.telegram.messages(ada.account) if not one["from"]["is_bot"]]
    await viva.telegram.edit_text(ada.account, mine[-1]["message_id"], "I want to kill myself.")
    await viva.quiet()
    await ada.tap("Talk with me anyway")
    assert [role for role, _ in await turns(viva, ada)] == ["user", "assistant"]
