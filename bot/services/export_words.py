"""A person's rows to read: Markdown, a file for each thing they did with VIVA, with links to their files."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, tzinfo
from pathlib import Path
from typing import Any

from prompts import replies
from prompts.categories import CATEGORIES, SECTIONS
from prompts.profile import fields as profile
from storage.people import Account

WORDS = replies.of("export")
LABELS = {each.key: each.label for each in CATEGORIES} | {each.key: each.label for each in SECTIONS}

Row = dict[str, Any]


def write(
    tables: Mapping[str, Path],
    folder: Path,
    *,
    address: Callable[[str], str | None],
    too_large: Mapping[str, tuple[str, str | None]],
) -> list[Path]:
    """Write the texts into the folder; their paths, README.md first.

    `tables` are files with a row a line, `address` is where the archive has the file of an address of the media store,
    and `too_large` names what the archive has not: how large it is, and a link where there is one.
    It reads and writes all of it: call it through `asyncio.to_thread`.
    """
    texts = _Texts(tables, address)
    documents = {
        "README.md": texts.readme(too_large),
        "profile.md": texts.profile(),
        "vision.md": texts.vision(),
        "assessment.md": texts.assessment(),
        "small-steps.md": texts.steps(),
        "journal.md": texts.journal(),
        "board.md": texts.board(),
        "talks.md": texts.talks(),
        "memory.md": texts.memory(),
        "receipts.md": texts.receipts(),
    }
    for name, paragraphs in documents.items():
        with (folder / name).open("w", encoding="utf-8") as file:
            file.writelines(f"{each.strip()}\n\n" for each in paragraphs if each.strip())
    return [folder / name for name in documents]


def _in_words(field: profile.Field, value: object) -> str:
    known = {each.value: each.label for each in field.choices}
    if isinstance(value, bool):
        return known.get(str(value).lower()) or WORDS("yes" if value else "no")
    return known.get(str(value), str(value))


class _Texts:
    """The documents, each as its paragraphs."""

    def __init__(self, tables: Mapping[str, Path], address: Callable[[str], str | None]) -> None:
        self._tables = tables
        self._address = address
        account = next(map(Account.model_validate, self._rows("viva.telegram_accounts")), None)
        self._name = account.first_name if account else None
        self._zone: tzinfo = account.zone if account else UTC

    def _rows(self, table: str) -> Iterator[Row]:
        with self._tables[table].open(encoding="utf-8", newline="\n") as lines:
            for line in lines:
                yield json.loads(line)

    def _by(self, table: str, column: str) -> dict[Any, list[Row]]:
        found = defaultdict(list)
        for row in self._rows(table):
            found[row[column]].append(row)
        return found

    def _when(self, moment: str | None) -> str:
        return f"{datetime.fromisoformat(moment).astimezone(self._zone):%Y-%m-%d %H:%M}" if moment else ""

    def _picture(self, url: str | None) -> str:
        return f"![]({self._address(url) or url})" if url else ""

    def _recordings(self, recordings: Any) -> Iterator[str]:
        """Links to recordings with what was heard in each; another program may have left anything in the column."""
        for one in recordings if isinstance(recordings, list) else []:
            if isinstance(one, dict) and isinstance(url := one.get("url"), str):
                yield f"[{WORDS('recording')}]({self._address(url) or url})"
                yield str(one.get("transcript") or "")

    def readme(self, too_large: Mapping[str, tuple[str, str | None]]) -> Iterator[str]:
        yield f"# {WORDS('readme_title', name=self._name or WORDS('you'))}"
        yield WORDS("readme", day=f"{datetime.now(self._zone):%Y-%m-%d}", zone=str(self._zone))
        if too_large:
            yield WORDS("too_large")
            yield "\n".join(
                f"- {name}, {size}" + (f": {link}" if link else "") for name, (size, link) in too_large.items()
            )

    def profile(self) -> Iterator[str]:
        yield f"# {WORDS('profile')}"
        for version in self._rows("public.user_profiles"):
            state = "active" if version["is_active"] else "draft" if version["is_draft"] else "earlier"
            yield f"## {WORDS('version', number=version['version_number'], state=WORDS(f'state_{state}'))}"
            for field in profile.fields().fields:
                value = version.get(field.column)
                if value in (None, "", []):
                    continue
                if field.kind in profile.MEDIA:
                    yield f"**{field.label}**"
                    yield from (self._picture(url) for url in (value if isinstance(value, list) else [value]))
                    continue
                values = value if isinstance(value, list) else [value]
                yield f"**{field.label}**: {', '.join(_in_words(field, each) for each in values)}"
            yield from self._recordings(version.get("story_recordings"))

    def vision(self) -> Iterator[str]:
        tracks, proposals = self._by("public.audio_tracks", "vision_id"), self._by("viva.vision_proposals", "vision_id")
        yield f"# {WORDS('vision')}"
        for version in self._rows("public.vision_versions"):
            state = WORDS("state_active" if version.get("is_active") else f"state_{version['status']}")
            yield f"## {WORDS('version', number=version['version_number'], state=state)}"
            yield str(version["title"])
            for section in SECTIONS:
                if text := version.get(section.key):
                    yield f"### {section.label}"
                    yield str(text)
            for track in tracks.get(version["id"], []):
                if track["audio_url"]:
                    what = LABELS.get(track["section_key"], track["section_key"])
                    place = self._address(track["audio_url"]) or track["audio_url"]
                    yield f"[{WORDS('read_aloud', section=what)}]({place})"
            for proposal in proposals.get(version["id"], []):
                section_label = LABELS.get(proposal["section_key"], proposal["section_key"])
                yield f"### {WORDS('told', section=section_label, when=self._when(proposal['created_at']))}"
                yield str(proposal["imagination"])
                yield from self._recordings(proposal["recordings"])
                if proposal["text"]:
                    yield f"**{WORDS('proposed')}**"
                    yield str(proposal["text"])

    def assessment(self) -> Iterator[str]:
        answers = self._by("public.assessment_responses", "assessment_id")
        ratings = self._by("viva.assessment_self_ratings", "assessment_id")
        words = self._by("viva.assessment_words", "assessment_id")
        insights = self._by("public.assessment_insights", "assessment_id")
        yield f"# {WORDS('assessment')}"
        for result in self._rows("public.assessment_results"):
            key = result["id"]
            yield f"## {self._when(result['completed_at'] or result['started_at'] or result['created_at'])}"
            if result["completed_at"]:
                yield WORDS("result", score=result["total_score"], most=result["max_possible_score"])
            felt = {each["category"]: each["rating"] for each in ratings.get(key, [])}
            scores = result["category_scores"] or {}
            lines = self._by_category(answers.get(key, []))
            for category in CATEGORIES:
                if category.key not in {*felt, *lines}:
                    continue
                yield f"### {category.label}"
                if category.key in scores:
                    yield WORDS("score", score=scores[category.key])
                if category.key in felt:
                    yield WORDS("felt", rating=felt[category.key])
                for answer in lines.get(category.key, []):
                    yield f"**{answer['question_text']}**"
                    yield f"{answer['response_text']} ({answer['response_value']})"
            for own in words.get(key, []):
                yield f"### {WORDS('own_words', question=own['question_id'])}"
                yield str(own["words"])
                yield from self._recordings(own["recordings"])
                yield str(own["reason"])
            for insight in insights.get(key, []):
                yield f"### {WORDS('insight', area=LABELS.get(insight['category'], ''), title=insight['title'])}"
                yield str(insight["description"])

    @staticmethod
    def _by_category(answers: list[Row]) -> dict[str, list[Row]]:
        found = defaultdict(list)
        for answer in answers:
            found[answer["category"]].append(answer)
        return found

    def steps(self) -> Iterator[str]:
        steps = self._by("viva.blueprint_steps", "blueprint_id")
        yield f"# {WORDS('steps')}"
        for blueprint in self._rows("viva.blueprints"):
            yield f"## {LABELS.get(blueprint['category'], '')}, {self._when(blueprint['created_at'])}"
            for step in steps.get(blueprint["id"], []):
                state = WORDS(f"step_{step['state']}")
                yield f"**{step['title']}** ({state})"
                yield str(step["description"])

    def journal(self) -> Iterator[str]:
        yield f"# {WORDS('journal')}"
        day = None
        for entry in self._rows("public.journal_entries"):
            if entry["date"] != day:
                day = entry["date"]
                yield f"## {date.fromisoformat(day):%A}, {day}"
            yield f"### {entry['title'] or self._when(entry['created_at'])}"
            yield ", ".join(LABELS.get(key, key) for key in entry["categories"] or [])
            yield entry["content"] or ""
            yield from (self._picture(url) for url in entry["image_urls"] or [])
            yield from self._recordings(entry["audio_recordings"])
        for reflection in self._rows("viva.journal_reflections"):
            yield f"## {WORDS('reflection', day=reflection['week_start'])}"
            yield str(reflection["text"])

    def board(self) -> Iterator[str]:
        stories = self._by("viva.board_stories", "item_id")
        yield f"# {WORDS('board')}"
        for item in self._rows("public.vision_board_items"):
            yield f"## {item['name']}"
            areas = ", ".join(LABELS.get(key, key) for key in item["categories"] or [])
            yield ", ".join(part for part in (WORDS(f"item_{item['status']}"), areas) if part)
            yield item["description"] or ""
            yield self._picture(item["image_url"])
            if stories.get(item["id"]):
                yield WORDS("story", day=self._when(stories[item["id"]][0]["created_at"])[:10])
        ideas = [f"- {idea['name']}: {idea['description']}" for idea in self._rows("viva.board_ideas")]
        if ideas:
            yield f"## {WORDS('ideas')}"
            yield "\n".join(ideas)

    def talks(self) -> Iterator[str]:
        titles = {each["id"]: each["title"] for each in self._rows("viva.conversations")}
        you, viva = self._name or WORDS("you"), WORDS("viva")
        yield f"# {WORDS('talks')}"
        thread = None
        for turn in self._rows("public.ai_conversations"):
            context = turn["context"] if isinstance(turn["context"], dict) else {}
            title = titles.get(str(context.get("conversation_id"))) or WORDS("talk")
            if title != thread:
                thread = title
                yield f"## {title}"
            yield f"**{you if turn['role'] == 'user' else viva}**, {self._when(turn['created_at'])}"
            yield str(turn["message"])

    def memory(self) -> Iterator[str]:
        yield f"# {WORDS('memory')}"
        for fact in self._rows("viva.memory_facts"):
            yield f"**{fact['text']}**"
            yield WORDS("fact", quote=fact["quote"], when=self._when(fact["said_at"]))
            if fact["valid_to"]:
                yield WORDS("fact_over", day=fact["valid_to"])
        for digest in self._rows("viva.memory_digests"):
            spans = self._when(digest["covers_from"]), self._when(digest["covers_to"])
            yield f"## {WORDS('digest', first=spans[0], last=spans[1])}"
            yield str(digest["text"])

    def receipts(self) -> Iterator[str]:
        yield f"# {WORDS('receipts')}"
        for wallet in self._rows("viva.wallets"):
            yield WORDS("wallet", balance=f"{wallet['balance']:,}", used=f"{wallet['used']:,}")
        yield f"## {WORDS('ledger')}"
        yield "\n".join(
            f"- {self._when(each['created_at'])}: {each['amount']:+,}, {each['kind']}"
            + (f", {each['note']}" if each["note"] else "")
            for each in self._rows("viva.ledger")
        )
        yield f"## {WORDS('calls')}"
        yield "\n".join(
            f"- {self._when(each['created_at'])}: {each['action_type']}, {each['model_used']}, {each['tokens_used']:,}"
            f" ({each['input_tokens'] or 0:,} + {each['output_tokens'] or 0:,}), {each['cost_estimate']} ct"
            for each in self._rows("public.token_usage")
        )
        yield f"## {WORDS('payments')}"
        yield "\n".join(
            f"- {self._when(each['created_at'])}: {each['stars']} Stars, {each['tokens']:,}, {each['state']},"
            f" {each['telegram_payment_charge_id']}"
            for each in self._rows("viva.payments")
        )
