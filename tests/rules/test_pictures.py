"""The picture of an assessment's result: what it shows, and what a name can never do to it."""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Literal

import pytest
import typst
from PIL import Image, ImageChops

from bot.services import pictures

LABELS: Mapping[str, str] = {
    "fun": "Fun",
    "health": "Health",
    "travel": "Travel",
    "romance": "Romance",
    "family": "Family",
    "social": "Social",
    "home": "Home",
    "business": "Business",
    "money": "Money",
    "possessions": "Possessions",
    "giving": "Giving",
    "spirituality": "Spirituality",
}
TWELVE = [
    pictures.CategoryStanding(key=key, label=label, ratio=0.7, status="transition") for key, label in LABELS.items()
]
HEADING_ENDS = 170


def draw(
    *,
    first_name: str = "Anna",
    percentage: int | None = 72,
    categories: Sequence[pictures.CategoryStanding] = TWELVE,
    finished_on: date = date(2026, 11, 23),
) -> bytes:
    return pictures.assessment_wheel(
        first_name=first_name, percentage=percentage, categories=categories, finished_on=finished_on
    )


def with_first(standing: pictures.CategoryStanding) -> list[pictures.CategoryStanding]:
    return [standing, *TWELVE[1:]]


def difference(one: bytes, other: bytes) -> tuple[int, int, int, int] | None:
    """The box (left, top, right, bottom) outside which two pictures are the same, None when they are equal."""
    first, second = (Image.open(io.BytesIO(picture)).convert("RGB") for picture in (one, other))
    return ImageChops.difference(first, second).getbbox()


def test_it_is_a_portrait_png_that_telegram_takes_as_a_photo() -> None:
    picture = draw()
    image = Image.open(io.BytesIO(picture))
    assert image.format == "PNG"
    assert image.size == (1080, 1350)
    assert len(picture) < 1_000_000


def test_the_same_result_is_the_same_picture() -> None:
    assert draw() == draw()


def test_every_status_looks_different_at_the_same_ratio() -> None:
    statuses: list[Literal["above", "transition", "below"]] = ["above", "transition", "below"]
    drawn = {draw(categories=with_first(replace(TWELVE[0], status=status))) for status in statuses}
    drawn.add(draw(categories=with_first(replace(TWELVE[0], ratio=None, status=None))))
    assert len(drawn) == 4


@pytest.mark.parametrize("index", range(12), ids=list(LABELS))
def test_every_label_is_in_the_picture(index: int) -> None:
    categories = list(TWELVE)
    categories[index] = replace(TWELVE[index], label="Another")
    assert difference(draw(), draw(categories=categories))


def test_every_category_has_an_icon_of_its_own() -> None:
    swapped = [replace(TWELVE[1], label="Fun"), replace(TWELVE[0], label="Health"), *TWELVE[2:]]
    assert difference(draw(), draw(categories=swapped))
    icons = {icon.read_text() for icon in (Path(pictures.__file__).parent / "icons").glob("*.svg")}
    assert len(icons) == 12


def test_a_longer_petal_is_drawn_for_a_higher_ratio() -> None:
    assert difference(draw(), draw(categories=with_first(replace(TWELVE[0], ratio=0.71))))


def test_the_whole_and_the_date_are_in_the_picture() -> None:
    assert difference(draw(percentage=72), draw(percentage=73))
    assert difference(draw(percentage=72), draw(percentage=None))
    box = difference(draw(), draw(finished_on=date(2026, 11, 24)))
    assert box and box[3] <= HEADING_ENDS


@pytest.mark.parametrize("ratio", [0.0, 0.2, 0.8, 1.0])
def test_the_ends_of_the_scale_can_be_drawn(ratio: float) -> None:
    assert draw(categories=[replace(standing, ratio=ratio) for standing in TWELVE])


def test_a_life_in_which_nothing_applied_can_be_drawn() -> None:
    nothing = [replace(standing, ratio=None, status=None) for standing in TWELVE]
    assert draw(percentage=None, categories=nothing)


def test_long_labels_can_be_drawn() -> None:
    assert draw(categories=[replace(standing, label="Possessions and lifestyle") for standing in TWELVE])


@pytest.mark.parametrize(
    "name",
    [
        '#panic("x")',
        "*bold*",
        "_slanted_",
        "$ x^2 $",
        "= Title",
        "@label <label>",
        "`raw`",
        "// gone",
        "/* gone */",
        "\\ \\u{41}",
        "]#sys.inputs[",
        '","percentage":100,"x":"',
        "https://example.org",
        "#" * 64,
    ],
)
def test_markup_in_a_name_is_only_text(name: str) -> None:
    shown = draw(first_name=f"A {name}")
    box = difference(draw(first_name="A"), shown)
    assert box and box[3] <= HEADING_ENDS


def test_the_signs_of_markup_stay_visible() -> None:
    assert difference(draw(first_name="*bold*"), draw(first_name="bold"))
    assert difference(draw(first_name="A // gone"), draw(first_name="A"))


@pytest.mark.parametrize("name", ["Анна", "Љиљана", "Σοφία", "Nguyễn", "Łucja", "שרה", "Նարե", "ნინო", "محمد", "پریسا"])
def test_a_name_is_shown_in_every_script_the_fonts_have(name: str) -> None:
    assert difference(draw(first_name=""), draw(first_name=name))


@pytest.mark.parametrize("name", ["美咲", "अमित", "สมชาย", "지민", "Anna 美咲", "🌸", "…", "   ", ""])
def test_a_name_without_glyphs_is_left_out(name: str) -> None:
    assert draw(first_name=name) == draw(first_name="")


@pytest.mark.parametrize(
    "name", ["Anna 🌸", "👩‍💻 Anna", "\u202eAnna\u202c", "An\x00na", "Anna\ud800", " Anna \n", "𝓐𝓷𝓷𝓪"]
)
def test_decoration_around_a_name_is_dropped(name: str) -> None:
    assert draw(first_name=name) == draw(first_name="Anna")


def test_a_long_name_stays_in_the_heading_and_on_the_page() -> None:
    box = difference(draw(first_name=""), draw(first_name="Maximiliane " * 5 + "Anna"))
    assert box
    left, _, right, bottom = box
    assert left >= 40 and right <= 1040 and bottom <= HEADING_ENDS


def test_every_letter_that_is_let_through_has_a_glyph() -> None:
    template = (Path(pictures.__file__).parent / "wheel.typ").read_text()
    fonts = re.search(r"font: (\(.*\)),", template)
    assert fonts

    def glyphs(text: str) -> set[bytes]:
        source = f"#set text(font: {fonts[1]}, fallback: false, weight: 600)\n#sys.inputs.text"
        svg = typst.compile(
            source.encode(),
            format="svg",
            font_paths=typst.Fonts(include_system_fonts=False),
            ignore_system_fonts=True,
            sys_inputs={"text": text},
        )
        return set(re.findall(rb'<path[^>]*\bd="([^"]+)"', svg))

    missing = glyphs("\U0002ffff") - glyphs("")
    assert len(missing) == 1
    letters = [
        chr(code)
        for first, last in pictures.LETTERS
        for code in range(first, last + 1)
        if unicodedata.category(chr(code))[0] in "LMNP" and unicodedata.is_normalized("NFKC", chr(code))
    ]
    assert len(letters) > 1500
    assert not missing & glyphs(" ".join(letters))


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(ValueError, match="each of these keys once"):
        draw(categories=with_first(replace(TWELVE[0], key="luck")))
    with pytest.raises(ValueError, match="each of these keys once"):
        draw(categories=with_first(replace(TWELVE[0], key="../wheel")))


def test_a_missing_or_repeated_key_is_refused() -> None:
    with pytest.raises(ValueError, match="each of these keys once"):
        draw(categories=TWELVE[1:])
    with pytest.raises(ValueError, match="each of these keys once"):
        draw(categories=with_first(TWELVE[1]))


@pytest.mark.parametrize("ratio", [-0.1, 1.01, float("nan")])
def test_a_ratio_outside_its_range_is_refused(ratio: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        draw(categories=with_first(replace(TWELVE[0], ratio=ratio)))


@pytest.mark.parametrize("label", ["Incomprehensible", "Rest and play and rest and play"])
def test_a_label_that_would_not_fit_is_refused(label: str) -> None:
    with pytest.raises(ValueError, match="too long a label"):
        draw(categories=with_first(replace(TWELVE[0], label=label)))


def test_a_standing_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="without"):
        draw(categories=with_first(replace(TWELVE[0], ratio=None)))
    with pytest.raises(ValueError, match="without"):
        draw(categories=with_first(replace(TWELVE[0], status=None)))
    with pytest.raises(ValueError, match="no label"):
        draw(categories=with_first(replace(TWELVE[0], label=" ")))
    with pytest.raises(ValueError, match="unknown status"):
        draw(categories=with_first(replace(TWELVE[0], status="neutral")))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="from 0 to 100"):
        draw(percentage=101)
