"""The answer to danger is calm, short, for the person's country, and made of data alone."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from bot.services import care
from bot.services.care import CareAnswer, Sign
from prompts.care import LINES, Danger, Level

SIGNS = [Sign(danger, level) for danger in get_args(Danger) for level in get_args(Level)]
SELF = Sign("self", "immediate")


def said(answer: CareAnswer) -> str:
    return "\n".join((*answer.before, answer.offer))


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("US", "US"),
        ("usa", "US"),
        ("U.S.A.", "US"),
        ("The United States", "US"),
        ("UK", "GB"),
        ("u.k.", "GB"),
        ("England", "GB"),
        ("Leeds, UK", "GB"),
        (" germany ", "DE"),
        ("Deutschland", "DE"),
        ("Österreich", "AT"),
        ("osterreich", "AT"),
        ("España", "ES"),
        ("espana", "ES"),
        ("México", "MX"),
        ("Brasil", "BR"),
        ("Россия", "RU"),
        ("Moscow, Russia", "RU"),
        ("Україна", "UA"),
        ("Türkiye", "TR"),
        ("TÜRKİYE", "TR"),
        ("日本", "JP"),
        ("中国", "CN"),
        ("भारत", "IN"),
        ("New Zealand / Aotearoa", "NZ"),
        ("The Netherlands", "NL"),
        ("Côte d'Azur, France", "FR"),
        ("Česká republika", "CZ"),
        ("Wilmington, DE", None),
        ("Narnia", None),
        ("", None),
        (None, None),
    ],
)
def test_a_country_is_understood_as_people_type_it(typed: str | None, code: str | None) -> None:
    assert care.country_code(typed) == code


def test_every_name_of_a_country_leads_to_it_and_to_no_other() -> None:
    for code, country in LINES.countries.items():
        assert re.fullmatch("[A-Z]{2}", code)
        assert care.country_code(code) == code
        for name in country.names:
            assert care.country_code(name) == code
        assert care.country_code(country.name) == code


def test_a_language_points_to_one_country_only() -> None:
    languages = [language for country in LINES.countries.values() for language in country.languages]
    assert len(languages) == len(set(languages))
    assert not {"en", "es", "fr", "de", "pt", "ru", "ar", "zh", "nl"} & set(languages)


@pytest.mark.parametrize("code", LINES.countries)
@pytest.mark.parametrize("sign", SIGNS, ids=str)
def test_every_country_gets_its_emergency_number_and_lines_that_fit(code: str, sign: Sign) -> None:
    answer = care.answer(sign, country=code, language_code="en")
    country = LINES.countries[code]
    assert answer.country == code and not answer.guessed
    assert answer.emergency == country.emergency and re.search(r"\d{3}", country.emergency)
    assert f"{country.name}: {country.emergency}" in said(answer)
    assert 1 <= len(answer.lines) <= 2
    assert all(sign.danger in line.helps for line in answer.lines)
    own = [line for line in country.lines if sign.danger in line.helps]
    assert list(answer.lines) == own[:2] or (not own and answer.lines == (LINES.directory,))


@pytest.mark.parametrize("sign", SIGNS, ids=str)
def test_the_words_are_calm_and_short_and_say_what_viva_is_not(sign: Sign) -> None:
    answer = care.answer(sign, country="Ireland", language_code=None)
    text = said(answer)
    assert "not a crisis service" in text
    assert "!" not in text and "must" not in text.split()
    assert "pause" in answer.pause_button.lower() and "coaching" in answer.offer
    assert len(text.split()) <= 150
    assert "\n\n" not in text and "  " not in text and "{" not in text


def test_the_phone_number_of_samaritans_reaches_a_person_in_the_united_kingdom() -> None:
    answer = care.answer(SELF, country="United Kingdom", language_code="en")
    assert (answer.lines[0].name, answer.lines[0].phone) == ("Samaritans", "116 123")
    assert answer.emergency == "999"


def test_violence_at_home_gets_a_line_for_it_and_not_the_line_for_despair() -> None:
    answer = care.answer(Sign("from_others", "concern"), country="France", language_code="fr")
    assert [line.phone for line in answer.lines] == ["3919"]


def test_without_a_country_a_clear_language_is_a_guess_that_says_so() -> None:
    answer = care.answer(SELF, country=None, language_code="pl")
    assert answer.guessed and answer.country == "PL"
    assert "If you are in Poland" in said(answer)
    assert answer.lines[-1] == LINES.directory


@pytest.mark.parametrize(("language", "code"), [("pt-BR", "BR"), ("pt_PT", "PT"), ("en-GB", "GB"), ("de-AT", "AT")])
def test_a_language_with_a_region_is_a_guess_too(language: str, code: str) -> None:
    assert care.answer(SELF, country=None, language_code=language).country == code


@pytest.mark.parametrize("language", [None, "", "en", "en-US", "es", "de", "ru", "fr", "pt", "zh-hans", "xx"])
def test_an_unclear_language_is_answered_with_the_worldwide_directory(language: str | None) -> None:
    answer = care.answer(SELF, country=None, language_code=language)
    assert answer.country is None and answer.emergency is None and not answer.guessed
    assert answer.lines == (LINES.directory,)
    assert "112" in said(answer) and "911" in said(answer)


def test_the_clock_a_person_chose_is_a_better_guess_than_the_language() -> None:
    london = care.answer(SELF, country=None, language_code="pl", time_zone="Europe/London")
    assert london.guessed and london.emergency == "999" and london.lines[0].phone == "116 123"
    assert "If you are in" in said(london) and london.lines[-1] == LINES.directory
    assert care.answer(SELF, country="Ireland", language_code="en", time_zone="Europe/London").country == "IE"
    of_two = care.answer(SELF, country=None, language_code="en", time_zone="Europe/Brussels")
    assert of_two.country is None and of_two.lines == (LINES.directory,)


def test_a_country_we_do_not_know_is_not_overruled_by_a_guess() -> None:
    answer = care.answer(SELF, country="Narnia", language_code="pl")
    assert answer.country is None and answer.lines == (LINES.directory,)


def test_every_line_names_its_source_and_when_it_was_checked() -> None:
    for country in LINES.countries.values():
        for line in country.lines:
            assert line.source.startswith("http") and line.checked >= "2026-11"
            assert line.phone is None or re.search(r"\d{2,}", line.phone)
            assert line.phone or line.text or line.link


def test_no_country_lists_one_line_twice() -> None:
    for country in LINES.countries.values():
        names = [line.name for line in country.lines]
        assert len(names) == len(set(names))
