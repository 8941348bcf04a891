"""Ideas for the vision board, three at a time, out of the person's own words."""

from __future__ import annotations

from typing import Any

from aiogram import F, Router
from aiogram.types import CallbackQuery
from aiogram.utils.formatting import Bold, Text

from bot.ai import tokens
from bot.ai.meter import Action
from bot.config import Settings
from bot.errors import ModelError, NotFound
from bot.services import board as rules
from bot.services import shorter
from bot.services import vision as vision_rules
from bot.services.doors import Doors
from bot.services.work import Job, Work
from handlers import balance, home, price_tag, start, trouble
from handlers.board import BoardTap, IdeasTap, IdeaTap, back, item_screen
from handlers.screen import Screen, button, show
from prompts import board as prompts
from prompts import replies
from prompts.categories import CATEGORIES, Category
from storage import board, conversations, people, profile, vision_material
from storage.board import Idea
from storage.database import Transaction
from storage.people import Account

WORDS = replies.of("board")
MOST_OUTPUT = 500
LEAST_OUTPUT = 200
SCHEMA_TOKENS = 200
"""About what the shape of the answer adds to a request."""

router = Router(name="board_ideas")


class _Material:
    """What ideas for an area are taken from."""

    def __init__(self, area: Category, section: str, answers: list[tuple[str, str]], known: list[str]) -> None:
        self.area, self.section, self.answers, self.known = area, section, answers, known

    def messages(self, faults: str = "") -> list[dict[str, str]]:
        """The request, with what was wrong with the last answer."""
        return prompts.ideas_messages(
            self.area, vision=self.section, answers=self.answers, known=self.known, faults=faults
        )

    @property
    def empty(self) -> bool:
        """Whether the person has said nothing about this area yet."""
        return not self.section.strip() and not self.answers


async def _material(db: Transaction, area: Category) -> _Material:
    sections = await conversations.vision(db)
    answers = vision_rules.fitting(area.key, await vision_material.answers(db, area.key), await profile.active(db))
    told = [(answer.question_text, answer.response_text) for answer in answers]
    return _Material(area, sections.get(area.key, ""), told, await board.names(db, area.key))


def _area(key: str) -> Category | None:
    return next((area for area in CATEGORIES if area.key == key), None)


# ----------------------------------------------------------------------------------------- screens


def _choice() -> Screen:
    buttons = [button(f"{area.icon} {area.short}", IdeasTap(step="open", area=area.key)) for area in CATEGORIES]
    rows = [buttons[place : place + 2] for place in range(0, len(buttons), 2)]
    return Screen(text=WORDS("ideas_choose"), rows=[*rows, back()])


def _ideas_screen(area: Category, ideas: list[Idea], *, head: str, note: str | None = None) -> Screen:
    parts: list[Any] = [Bold(f"{area.icon} {area.label}"), "\n\n", head]
    for idea in ideas:
        parts += ["\n\n", Bold(idea.name), "\n", idea.description]
    if note:
        parts += ["\n\n", note]
    rows = [[button(WORDS("pin_idea", name=_short(idea.name)), IdeaTap(id=idea.id))] for idea in ideas]
    if ideas:
        rows.append([button(WORDS("pass_idea"), IdeasTap(step="pass", area=area.key))])
    else:
        rows.append([button(WORDS("ideas_more"), IdeasTap(step="open", area=area.key))])
    return Screen(text=Text(*parts), rows=[*rows, back()])


def _short(name: str) -> str:
    return name if len(name) <= 26 else name[:25].rstrip() + "…"


# ------------------------------------------------------------------------------------------ asking


@router.callback_query(IdeasTap.filter(F.step.in_({"choose", "open"})))
async def on_open(
    tap: CallbackQuery, callback_data: IdeasTap, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Show the ideas for an area that wait for a word, or what three new ones take; without an area, ask for one."""
    await people.wait_for(db, None)
    area = _area(callback_data.area)
    show(work, await _open(db, area, user, settings) if area is not None else _choice(), tap=tap)


async def _open(db: Transaction, area: Category, user: Account, settings: Settings) -> Screen:
    waiting = await board.offered(db, area.key)
    if waiting:
        return _ideas_screen(area, waiting, head=WORDS("ideas_wait"))
    if user.consented_at is None:
        return start.consent_screen(settings)
    material = await _material(db, area)
    if material.empty:
        rows = [[button(WORDS("ideas"), IdeasTap(step="choose")), button(WORDS("board"), BoardTap())], [home.back()]]
        return Screen(text=Text(Bold(area.label), "\n\n", WORDS("ideas_need_words")), rows=rows)
    size = tokens.count_messages(material.messages()) + SCHEMA_TOKENS
    return await price_tag.screen(
        db,
        user,
        settings,
        what=WORDS("ideas_title", area=area.label),
        low=size + LEAST_OUTPUT // 2,
        # The second try, where the first gives something that cannot hang there.
        high=2 * (size + MOST_OUTPUT),
        like=(Action.VISION_GENERATION, "ideas"),
        go_on=IdeasTap(step="yes", area=area.key),
        back=back(),
    )


@router.callback_query(IdeasTap.filter(F.step == "yes"))
async def on_yes(
    tap: CallbackQuery, callback_data: IdeasTap, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Look for ideas; once for each price tag."""
    area = _area(callback_data.area)
    if area is None:
        show(work, _choice(), tap=tap)
        return
    if user.consented_at is None:
        show(work, start.consent_screen(settings), tap=tap)
        return
    waiting = await board.offered(db, area.key)
    if waiting:
        show(work, _ideas_screen(area, waiting, head=WORDS("ideas_wait")), tap=tap)
        return
    tagged = tap.message.message_id if tap.message is not None else 0
    show(work, Screen(text=WORDS("ideas_coming")), tap=tap)
    key = f"{work.chat_id}:{area.key}:{tagged}"
    work.start("board.ideas", {"area": area.key, "message": tagged}, lane="board", key=key)


@router.callback_query(IdeasTap.filter(F.step == "pass"))
async def on_pass(tap: CallbackQuery, callback_data: IdeasTap, db: Transaction, work: Work) -> None:
    """Let the ideas that wait go."""
    area = _area(callback_data.area)
    if area is None:
        show(work, _choice(), tap=tap)
        return
    for idea in await board.offered(db, area.key):
        await board.decide(db, idea.id, to="passed")
    show(work, _ideas_screen(area, [], head=WORDS("passed")), tap=tap)


@router.callback_query(IdeaTap.filter())
async def on_pin(
    tap: CallbackQuery, callback_data: IdeaTap, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Pin an idea; the others go on waiting."""
    idea = await board.idea(db, callback_data.id)
    area = _area(idea.category) if idea is not None else None
    if idea is None or area is None:
        raise NotFound(WORDS("gone"))
    if await board.decide(db, idea.id, to="pinned"):
        item = await board.add(db, name=idea.name, description=idea.description, categories=[area.key])
        show(work, await item_screen(db, item, user, settings, note=WORDS("pinned")))
    waiting = await board.offered(db, area.key)
    head = WORDS("ideas_wait" if waiting else "ideas_none")
    show(work, _ideas_screen(area, waiting, head=head), tap=tap)


# --------------------------------------------------------------------------------------------- job


async def look_for_ideas(job: Job, doors: Doors) -> None:
    """Ask for three ideas, once more where they cannot hang there, and offer those that can."""
    area = _area(job.payload["area"])
    assert area is not None
    async with job.transaction() as db:
        account = await people.account(db)
        material = await _material(db, area)
        waiting = await board.offered(db, area.key)
    if account is None or account.consented_at is None:
        async with job.finish():
            _say_instead(job, Screen(text=WORDS("withdrawn"), rows=[back()]))
        return
    if waiting and not job.done("ideas"):
        # Out of another price tag, while this waited: nobody pays for more before they have seen those.
        async with job.finish():
            _say_instead(job, _ideas_screen(area, waiting, head=WORDS("ideas_wait")))
        return
    await job.show_action("typing")
    found = await _ask(job, doors, material, step="ideas")
    if wrong := rules.faults(found, material.known):
        try:
            found = [*await _ask(job, doors, material, step="ideas_again", faults=wrong), *found]
        except ModelError as error:
            if job.waits_for(error) or not rules.fitting(found, material.known):
                raise
    good = rules.fitting(found, material.known)
    async with job.finish() as db:
        offered = [
            await board.offer(db, category=area.key, name=" ".join(thing.name.split()), description=thing.description)
            for thing in good
        ]
        receipt = await price_tag.receipt(db, job)
        head = "ideas_head" if len(offered) == prompts.IDEAS else "ideas_head_some" if offered else "ideas_failed"
        _say_instead(job, _ideas_screen(area, offered, head=WORDS(head), note=receipt))
        await balance.warn_if_low(job, db)


async def _ask(job: Job, doors: Doors, material: _Material, *, step: str, faults: str = "") -> list[prompts.Thing]:
    ideas = await shorter.asked(
        material.messages(faults),
        lambda messages: job.call(
            step,
            prompts.Ideas,
            lambda ticket: doors.model.structured(
                ticket,
                action=Action.VISION_GENERATION,
                messages=messages,
                shape=prompts.Ideas,
                most_output=MOST_OUTPUT,
                least_output=LEAST_OUTPUT,
            ),
        ),
    )
    return ideas.things


def _say_instead(job: Job, screen: Screen) -> None:
    job.send("deleteMessage", {"message_id": job.payload["message"]})
    show(job, screen)


async def no_ideas(job: Job, db: Transaction, error: Exception) -> None:
    """Say why there are none."""
    words = trouble.why(error, otherwise=WORDS("ideas_failed"))
    again = button(WORDS("ideas"), IdeasTap(step="open", area=job.payload["area"]))
    _say_instead(job, Screen(text=words, rows=[[again, *trouble.balance_button(error)], back()]))


JOBS = {"board.ideas": (look_for_ideas, no_ideas)}
