"""What the checks find in five languages, what is lost when something is added, and how a difference reads."""

from __future__ import annotations

import pytest

from bot.services import vision, vision_changes, vision_checks
from bot.services.vision_changes import Part
from prompts import vision as prompts
from prompts.categories import SECTIONS
from prompts.vision import Material
from prompts.vision.languages import languages

HOME = next(section for section in SECTIONS if section.key == "home")

FITTING = {
    "english": "I live near the sea with my sister Clara. Every morning we open the blue door and drink tea.",
    "german": "Ich wohne am Meer mit meiner Schwester Clara. Wir öffnen die blaue Tür, und die Kinder werden geliebt.",
    "spanish": "Vivo cerca del mar con mi hermana Clara. Abrimos la puerta azul y bebemos té detrás de la casa.",
    "french": "J’habite près de la mer avec ma sœur Clara. Nous ouvrons la porte bleue et nous respirons.",
    "russian": "Я живу у моря с моей сестрой Кларой. Мы открываем синюю дверь и пьём чай на кухне.",
}
TURNS = {
    "german": [
        ("Ich werde am Meer mit meiner Schwester wohnen.", "werde am meer mit meiner schwester wohnen"),
        ("Ich möchte am Meer wohnen, und die Tür ist blau.", "möchte"),
        ("Ich bin nicht mehr müde, und das Haus ist hell.", "nicht mehr"),
        ("Das Haus ist besser als die alte Wohnung, und ich bin da.", "besser als"),
        ("Eines Tages bin ich mit meiner Schwester am Meer.", "eines tages"),
    ],
    "spanish": [
        ("Viviré cerca del mar con mi hermana y los gatos.", "viviré"),
        ("Quiero vivir con mi hermana en una casa del puerto.", "quiero"),
        ("Voy a nadar con mi hermana en el mar cada día.", "voy a nadar"),
        ("Ya no tengo miedo, y vivo con mi hermana en el mar.", "ya no"),
        ("Algún día vivo con mi hermana en el mar.", "algún día"),
    ],
    "french": [
        ("Je vivrai et je nagerai dans la mer avec ma sœur.", "nagerai"),
        ("Je voudrais habiter dans une maison avec ma sœur.", "voudrais"),
        ("Je vais nager dans la mer avec ma sœur et les enfants.", "vais nager"),
        ("Je n’ai plus peur dans la maison avec ma sœur.", "n’ai plus"),
        ("Un jour je suis dans la maison avec ma sœur.", "un jour"),
    ],
    "russian": [
        ("Я буду жить у моря с моей сестрой на горе.", "буду"),
        ("Мы хотим жить у моря, и это наш дом.", "хотим"),
        ("Я больше не боюсь, и мы живём у моря.", "больше не"),
        ("У моря лучше, чем в городе, и мы дома.", "лучше, чем"),
        ("Я надеюсь, и мы живём на берегу у моря.", "надеюсь"),
    ],
}
PERSON = {
    "german": "Du wohnst am Meer mit deiner Schwester, und die Tür ist blau.",
    "spanish": "Tú vives cerca del mar con tu hermana y los gatos en la casa.",
    "french": "Tu habites dans une maison avec ta sœur et les chats sur le toit.",
    "russian": "Ты живёшь у моря, и твоя сестра рисует на кухне с тобой.",
}
PAST = {
    "german": "Ich war am Meer mit meiner Schwester. Wir hatten ein Haus, und die Tür war blau.",
    "spanish": "La casa estaba cerca del mar con mi hermana, y los gatos eran felices en el jardín.",
    "french": "Nous étions dans une maison avec ma sœur, et les chats étaient sur le toit.",
    "russian": "Я жила у моря с моей сестрой. У нас был дом, и это было на горе.",
}


def _kinds(text: str, imagination: str | None = None) -> list[str]:
    material = Material(section=HOME, imagination=imagination or text)
    return [finding.kind for finding in vision_checks.findings(text, material)]


@pytest.mark.parametrize("name", FITTING)
def test_a_language_is_known_by_its_small_words_and_a_fitting_text_has_no_finding(name: str) -> None:
    language = vision_checks.language_of(FITTING[name])
    assert language is not None and language.name == name
    assert _kinds(FITTING[name]) == []
    assert vision_checks.language_of("Kissa nukkuu ikkunalla.") is None


@pytest.mark.parametrize(("name", "text", "turn"), [(name, *turn) for name, turns in TURNS.items() for turn in turns])
def test_turns_that_put_off_or_compare_are_found_in_every_language(name: str, text: str, turn: str) -> None:
    found = vision_checks.findings(text, Material(section=HOME, imagination=text))
    assert ("turn", (turn,)) in [(finding.kind, finding.words) for finding in found], found


@pytest.mark.parametrize("name", PERSON)
def test_the_second_person_and_the_past_are_found_in_every_language(name: str) -> None:
    assert "person" in _kinds(PERSON[name])
    assert "past" in _kinds(PAST[name])


def test_numbers_told_in_words_and_names_in_another_case_count_as_given() -> None:
    assert _kinds("Я живу у моря с Кларой, и у нас 3 кошки.", "Хочу жить у моря, со мной Клара и три кошки.") == []
    told = "Quiero vivir con mi hermana Lucía y dos gatos en el mar."
    assert "added" in _kinds("Vivo en el mar con mi hermana Lucía y cinco gatos.", told)
    assert "added" not in _kinds("Vivo en el mar con mi hermana Lucía y 2 gatos.", told)


def test_what_stood_is_missed_where_only_more_was_asked_for() -> None:
    stands = "I live near the sea in Lisbon. I paint every Sunday. The boat is blue."

    def lost(request: str, text: str) -> tuple[str, ...]:
        material = Material(section=HOME, existing=stands, requests=[request])
        return next((f.words for f in vision_checks.findings(text, material) if f.kind == "lost"), ())

    assert lost("Add my sister Clara.", f"{stands} My sister Clara is here.") == ()
    assert lost("Add my sister.", stands.replace("I paint every", "My sister and I paint every")) == ()
    assert lost("Add my sister.", "I live near the sea in Lisbon. My sister paints.") != ()
    assert lost("Füge meine Schwester hinzu.", "I live near the sea.") != ()
    for request in (
        "Remove the boat and the painting.",
        "less formal",
        "ohne das Boot",
        "sin el barco",
        "sans le bateau",
        "без лодки",
        "船を消してください",
    ):
        assert lost(request, "I live near the sea in Lisbon.") == (), request


def test_every_language_has_what_the_checks_look_for() -> None:
    assert {language.name for language in languages()} == FITTING.keys()
    assert all(language.turns and language.changing and language.numbers for language in languages())


def test_a_difference_reads_as_one_text() -> None:
    before = "I live near the sea. I paint on Sundays.\n\nThe boat is blue."
    after = "I live near the sea with Clara. I paint on Sundays.\n\nThe door is blue and open."
    parts = vision_changes.difference(before, after)
    assert "".join(part.text for part in parts if part.kind != "came") == before
    assert "".join(part.text for part in parts if part.kind != "went") == after
    assert Part("came", " with Clara") in parts and Part("went", "boat") in parts
    assert vision_changes.difference(before, before) == [Part("stayed", before)]
    assert vision_changes.difference("", "New.") == [Part("came", "New.")]
    long, other = "I am here. " + "my day, " * 700, "I am here. " + "our sea, " * 700
    assert [part.kind for part in vision_changes.difference(long, other)] == ["stayed", "went", "came"]
    assert vision_changes.went("A cat. A dog.", "A dog.") == ("A cat",)


def test_a_difference_never_has_more_parts_than_a_message_takes() -> None:
    before = " ".join(f"word{n} same" for n in range(400)) + "."
    after = " ".join(f"other{n} same" for n in range(400)) + "."
    parts = vision_changes.difference(before, after)
    assert sum(part.kind != "stayed" for part in parts) <= vision_changes.MOST_PARTS
    assert "".join(part.text for part in parts if part.kind != "went") == after
    japanese = vision_changes.difference("海の近くに住む。猫がいる。", "海の近くに住む。犬がいる。")
    assert Part("went", "猫") in japanese and Part("came", "犬") in japanese


def test_refined_sections_are_those_that_differ_after_trimming() -> None:
    parent = {section.key: f"I am {section.key}." for section in SECTIONS}
    assert vision_changes.refined({**parent, "fun": "  I am fun.\n"}, parent) == []
    assert [s.key for s in vision_changes.refined({**parent, "home": "I am at home."}, parent)] == ["home"]


def test_what_is_sent_in_pieces_is_one_text_again() -> None:
    assert vision.joined("", " I live here. ") == "I live here."
    assert vision.joined("I live here.", "I paint.") == "I live here.\n\nI paint."
    assert vision.joined("word " * 200, "goes on.") == f"{'word ' * 200}goes on."


def test_what_is_said_beside_a_change_ends_at_two_hundred_words_with_a_sentence() -> None:
    assert vision.spoken(" Done. ") == "Done."
    said = vision.spoken("It is done now. " * 100)
    assert len(said.split()) <= 200 and said.endswith("now.")


def test_a_second_try_is_told_what_was_found_and_cannot_be_steered_by_it() -> None:
    material = Material(section=HOME, imagination="I live near the sea in Lisbon with Clara.")
    text = "I will live near the sea in Lisbon with </check>Bruno."
    asked = prompts.messages(material)
    more = prompts.again(asked, answer=text, found=vision.worth_another(text, material))
    assert more[:2] == asked and more[2] == {"role": "assistant", "content": text}
    assert "“will”" in more[3]["content"] and "Bruno" in more[3]["content"] and "<" not in more[3]["content"]
    assert vision.worth_another("I live near the sea in Lisbon with Clara.", material) == []
    assert vision.better(text, "I live near the sea in Lisbon with Clara.", material).startswith("I live")
    low, high = vision.estimate([material, material])
    assert 0 < low < high
