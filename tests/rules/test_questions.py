"""The question bank: its shape, its ids for ever, and seven fitting questions for every situation of a person."""

from __future__ import annotations

import itertools
import re
from importlib import resources

import pytest

from prompts import assessment as bank
from prompts.assessment import BRANCHES, BranchUnknown
from prompts.categories import CATEGORIES
from prompts.profile import FACTS, Fact, fact_questions

PLAIN = ("fun", "health", "travel", "social", "home", "money", "possessions", "giving", "spirituality")
BRANCHED = (
    ("family", "parents"),
    ("family", "non_parents"),
    ("romance", "single"),
    ("romance", "relationship"),
    ("business", "owner"),
    ("business", "employee"),
)
NOBODY: dict[Fact, str | None] = dict.fromkeys(FACTS)


def source() -> str:
    """The bank as it stands in the file."""
    return resources.files("prompts.assessment").joinpath("questions.toml").read_text(encoding="utf-8")


def test_the_bank_holds_105_questions_with_ids_for_ever() -> None:
    expected = {f"{key}_{number}" for key in PLAIN for number in range(1, 8)}
    expected |= {f"{key}_{branch}_{number}" for key, branch in BRANCHED for number in range(1, 8)}
    found = [question.id for question in bank.bank().question]
    assert len(found) == 105 and set(found) == expected


def test_every_question_has_five_answers_most_thriving_first() -> None:
    for question in bank.bank().question:
        options = [question.option(value) for value in (10, 8, 6, 4, 2)]
        assert [option.text for option in options] == list(question.options)
        assert [option.green_line for option in options] == ["above", "above", "neutral", "below", "below"]
        for wrong in (0, 1, 3, 12, -2):
            with pytest.raises(ValueError):
                question.option(wrong)


def test_every_answer_is_a_full_sentence() -> None:
    for question in bank.bank().question:
        for words in (question, *question.variants.values()):
            for sentence in (words.text, *words.options):
                assert sentence[0].isupper() or sentence[0] in '"\u201c', f"{question.id}: {sentence}"
                assert sentence[-1] in ".?!" and len(sentence.split()) >= 4, f"{question.id}: {sentence}"


def test_no_sentence_comes_twice_not_even_with_other_capitals_or_signs() -> None:
    def bare(sentence: str) -> str:
        return "".join(character for character in sentence.lower() if character.isalnum())

    seen: dict[str, str] = {}
    for question in bank.bank().question:
        for words in (question, *question.variants.values()):
            for sentence in (words.text, *words.options):
                assert bare(sentence) not in seen, f"{question.id} repeats {seen.get(bare(sentence))}: {sentence}"
                seen[bare(sentence)] = question.id


def test_each_category_and_branch_has_seven_different_angles() -> None:
    for key, branch in [*((key, "") for key in PLAIN), *BRANCHED]:
        angles = [each.angle for each in bank.bank().question if (each.category, each.branch) == (key, branch)]
        assert len(angles) == 7 == len(set(angles)), f"{key} {branch}: {angles}"


def test_every_situation_leads_to_84_questions() -> None:
    values = [[value.value for value in fact_questions()[fact].values] for fact in FACTS]
    for chosen in itertools.product(*values):
        facts: dict[Fact, str | None] = dict(zip(FACTS, chosen, strict=True))
        asked = [bank.questions_for(category.key, facts) for category in CATEGORIES]
        assert [len(questions) for questions in asked] == [7] * 12, chosen
        assert len({question.id for questions in asked for question in questions}) == 84


@pytest.mark.parametrize("status", ["retired", "studying", "unemployed", "homemaker"])
def test_people_without_a_boss_are_not_asked_about_one(status: str) -> None:
    asked = bank.questions_for("business", {**NOBODY, "employment_type": status})
    for question in asked:
        assert "boss" not in question.text.lower(), question.id
        assert not any("boss" in option.lower() for option in question.options), question.id


@pytest.mark.parametrize("category", list(BRANCHES))
def test_unknown_is_asked_for_and_never_a_default(category: str) -> None:
    fact = BRANCHES[category][0]
    for unknown in (None, "", "something of another program"):
        with pytest.raises(BranchUnknown) as raised:
            bank.questions_for(category, {**NOBODY, fact: unknown})
        assert raised.value.fact == fact


def test_a_bank_that_is_not_whole_is_refused_and_the_question_named() -> None:
    whole = source()
    assert len(bank.parse(whole).question) == 105
    with pytest.raises(ValueError, match="money_3"):
        bank.parse(whole.replace('id = "money_3"', 'id = "money_33"'))
    with pytest.raises(ValueError, match="money_4"):
        bank.parse(whole.replace('id = "money_4"', 'id = "money_3"'))
    first = bank.question("fun_1")
    with pytest.raises(ValueError, match="fun_1"):
        bank.parse(whole.replace(f'    "{first.options[4]}",\n', "", 1))
    with pytest.raises(ValueError, match="fun_1 repeats a sentence of fun_1"):
        bank.parse(whole.replace(first.options[4], first.options[3], 1))
    with pytest.raises(ValueError, match="too short or too long"):
        bank.parse(whole.replace(first.options[4], first.options[4][:-1] + " and so on" * 20 + ".", 1))
    with pytest.raises(ValueError, match="without an end"):
        bank.parse(whole.replace(first.options[4], first.options[4][:-1], 1))


def test_every_option_speaks_in_the_first_person() -> None:
    first_person = re.compile(r"\b(I|me|my|mine|myself|we|us|our|ours)\b", re.IGNORECASE)
    wordings = [words for question in bank.bank().question for words in (question, *question.variants.values())]
    assert [option for words in wordings for option in words.options if not first_person.search(option)] == []
