"""A life vision as a book: what stands in it, and its pages."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any, Final

import typst

from prompts.categories import SECTIONS

_FOLDER: Final = Path(__file__).parent / "pictures"
_FONTS: Final = typst.Fonts(
    include_system_fonts=False,
    font_paths=[str(resources.files(package)) for package in ("manimgx_fonts", "noto_cjk_sans_jp_regular")],
)

# As the names of Unicode characters begin: what the book's fonts have letters for.
SCRIPTS: Final = frozenset(
    """
    LATIN GREEK CYRILLIC ARMENIAN GEORGIAN HEBREW ARABIC ETHIOPIC DEVANAGARI BENGALI GURMUKHI GUJARATI ORIYA
    TAMIL TELUGU KANNADA MALAYALAM SINHALA THAI LAO MYANMAR KHMER CJK HIRAGANA KATAKANA KATAKANA-HIRAGANA HANGUL
    BOPOMOFO HALFWIDTH FULLWIDTH IDEOGRAPHIC MODIFIER FEMININE MASCULINE MICRO MATHEMATICAL DOUBLE-STRUCK SCRIPT
    BLACK-LETTER PLANCK INVERTED KELVIN ANGSTROM OHM EULER TURNED ROTATED INFORMATION VERTICAL COMBINING
    """.split()  # noqa: SIM905
)


LINE: Final = 120
"""Characters of a title or a name that fit the cover."""


@dataclass(frozen=True, kw_only=True)
class Book:
    """What is printed: `sections` holds the texts by key, empty ones are left out."""

    title: str
    name: str | None
    on: date
    sections: Mapping[str, str]
    contents: str
    """The heading of the contents."""


def pages(book: Book) -> bytes:
    """The book as a PDF of A5 pages: cover, contents, a chapter for each section that is written.

    It computes for about 300 ms: call it through `asyncio.to_thread`, never on the event loop. Raises ValueError for a
    book in which nothing is written.
    """
    chapters = [
        {"key": section.key, "label": section.label, "paragraphs": paragraphs}
        for section in SECTIONS
        if (paragraphs := _paragraphs(book.sections.get(section.key, "")))
    ]
    if not chapters:
        raise ValueError("nothing is written in this vision")
    name = _short(book.name or "") or None
    title = _short(book.title)
    everything = "\n".join(book.sections.values())
    printed = {
        "title": title,
        "name": name,
        "language": language(everything),
        "contents": book.contents,
        "cover": {
            "title": _writing(title),
            "name": None if name is None else _writing(name),
            "date": f"{book.on.day} {book.on:%B %Y}",
        },
        "chapters": chapters,
    }
    # What the person wrote travels as data, never as typst source.
    pdf = typst.compile(
        str(_FOLDER / "book.typ"),
        root=str(_FOLDER),
        format="pdf",
        font_paths=_FONTS,
        ignore_system_fonts=True,
        sys_inputs={"book": json.dumps(printed)},
    )
    assert isinstance(pdf, bytes)
    return pdf


def file_name(title: str, name: str | None) -> str:
    """A file name that any system takes, such as "My life vision - Ada.pdf"."""
    whole = " - ".join(part for part in (title.strip(), (name or "").strip()) if part)
    plain = "".join(" " if unicodedata.category(letter)[0] == "C" else letter for letter in whole)
    return (" ".join(re.sub(r'[\\/:*?"<>|]', " ", plain).split())[:80].strip(" .") or "vision") + ".pdf"


def missing_scripts(texts: Mapping[str, str]) -> list[str]:
    """The scripts in these texts that the book has no letters for, by name, such as "Tibetan"."""
    letters = {letter for text in texts.values() for letter in text if unicodedata.category(letter)[0] == "L"}
    scripts = {unicodedata.name(letter, "UNKNOWN").split()[0] for letter in letters if ord(letter) > 0x2AF}
    return sorted(script.title() for script in scripts - SCRIPTS)


def language(text: str) -> str:
    """The language by which a text is set, as far as its letters tell: it chooses between forms of shared letters."""
    counts: dict[str, int] = {}
    for letter in text:
        if unicodedata.category(letter)[0] != "L":
            continue
        script = unicodedata.name(letter, "").split(" ")[0]
        counts[script] = counts.get(script, 0) + 1
    if "HIRAGANA" in counts:
        return "ja"
    most = max(counts, key=lambda script: counts[script], default="LATIN")
    return {
        "KATAKANA": "ja",
        "HANGUL": "ko",
        "CJK": "zh",
        "ARABIC": "ar",
        "HEBREW": "he",
        "CYRILLIC": "ru",
        "GREEK": "el",
        "DEVANAGARI": "hi",
        "THAI": "th",
    }.get(most, "en")


def _paragraphs(text: str) -> list[dict[str, Any]]:
    parts = [part.strip() for part in re.split(r"\n\s*\n", _clean(text))]
    return [_writing(part) for part in parts if part]


def _writing(text: str) -> dict[str, Any]:
    """A text with its language and its direction, which its first letter with a direction of its own decides."""
    strong = (unicodedata.bidirectional(letter) for letter in text)
    first = next((kind for kind in strong if kind in ("L", "R", "AL")), "L")
    return {"text": text, "language": language(text), "rtl": first != "L"}


def _short(text: str) -> str:
    """A line of the cover: no longer than fits there."""
    words = " ".join(_clean(text).split())
    return words if len(words) <= LINE else words[: LINE - 1].rstrip() + "…"


def _clean(text: str) -> str:
    """The text without what cannot be printed: controls other than line breaks, and private use."""
    whole = text.replace("\r\n", "\n").replace("\t", " ")
    return "".join(
        letter for letter in whole if letter == "\n" or unicodedata.category(letter) not in ("Cc", "Cs", "Co", "Cn")
    )
