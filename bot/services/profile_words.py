"""Reading what a person types or says to a field of their profile: dates, numbers, lists, addresses, measures.

Everything here is a pure function of the words. What cannot be read raises Odd, which names the reply that says so.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

from prompts.profile.fields import Field

Value = str | int | bool | date | list[str] | None

YES = {"yes", "y", "yeah", "yep", "yes i do", "true", "i do"}
NO = {"no", "n", "nope", "not", "no i do not", "no i don't", "false", "i don't", "i do not"}
NUMBERS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

MOST_ITEMS = 30
LONGEST_ITEM = 60
LONGEST_STORY = 20_000
"""Characters of a story: five messages of Telegram's greatest length."""

CENTIMETRES, KILOGRAMS = range(40, 273), range(2, 651)
CENTIMETRES_IN_AN_INCH = 2.54
POUNDS_IN_A_KILOGRAM = 2.20462262
POUNDS_IN_A_STONE = 14


class Odd(ValueError):
    """These words are no answer to this field; `key` names the reply that says what would be."""

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(key)
        self.key = key
        self.values = values


def read(field: Field, words: str, *, units: str | None) -> Value:
    """What the words say to this field, as it is stored; raises Odd.

    A choice is also known by what its button says. Measures without a unit are in the person's own units.
    """
    words = words.replace("\0", "").strip()
    if not words:
        raise Odd("empty")
    if field.kind == "story":
        if len(words) > LONGEST_STORY:
            raise Odd("story_long", most=f"{LONGEST_STORY:,}")
        return words
    line = " ".join(words.split())
    named = {each.label.casefold(): each.value for each in field.choices}
    named |= {each.value.casefold(): each.value for each in field.choices}
    known = named.get(_bare(line))
    if field.kind in ("choice", "fact"):
        if field.column == "has_children":
            return _yes_or_no(line) if known is None else known == "true"
        if known is None:
            raise Odd("choice")
        return known
    if known is not None:
        return known
    match field.kind:
        case "yes_no":
            return _yes_or_no(line)
        case "date":
            return _date(line)
        case "number":
            return _number(line, most=field.most)
        case "list":
            return _list(words)
        case "ages":
            return _ages(line)
        case "email":
            return _email(line)
        case "phone":
            return _phone(line)
        case "height":
            return _height(line.casefold(), imperial=units == "imperial")
        case "weight":
            return _weight(line.casefold(), imperial=units == "imperial")
    line = line.rstrip(".") if len(line.split()) <= 4 else line  # a spoken name comes with a full stop
    if len(line) > field.longest:
        raise Odd("long", most=field.longest)
    if not any(character.isalnum() for character in line):
        raise Odd("empty")
    return line


def chosen(field: Field, value: str) -> Value:
    """The value that a button of this field stands for, as it is stored; raises Odd for any other."""
    if field.kind == "yes_no" and value in ("yes", "no"):
        return value == "yes"
    if value not in {each.value for each in field.choices}:
        raise Odd("choice")
    return value == "true" if field.column == "has_children" else value


def _bare(line: str) -> str:
    return line.casefold().strip(" .!")


def _yes_or_no(line: str) -> bool:
    said = _bare(line).replace(",", "")
    if said in YES or said in NO:
        return said in YES
    raise Odd("yes_no")


def _number(line: str, *, most: int) -> int:
    said = _bare(line)
    if said in NUMBERS:
        number = NUMBERS.index(said)
    elif said in ("none", "no"):
        number = 0
    else:
        found = re.findall(r"(?<![\d.,-])\d{1,6}(?![\d.,]\d)", said)
        if len(found) != 1:
            raise Odd("number", most=most)
        number = int(found[0])
    if number > most:
        raise Odd("number", most=most)
    return number


def _date(line: str) -> date:
    said = re.sub(r"(\d)(st|nd|rd|th)\b", r"\1", line.casefold())
    said = re.sub(r"\b(the|of|on|born)\b|[,]", " ", said)
    parts = [part for part in re.split(r"[\s./-]+", said) if part]
    month = next((part for part in parts if part[:3] in MONTHS and part.isalpha()), None)
    numbers = [part for part in parts if part.isdigit()]
    if month is not None and len(numbers) == 2 and len(parts) == 3:
        year, day = sorted(numbers, key=len, reverse=True)
        found = (year, str(MONTHS.index(month[:3]) + 1), day)
    elif len(numbers) == 3 == len(parts) and len(numbers[0]) == 4:
        found = (numbers[0], numbers[1], numbers[2])
    elif len(numbers) == 3 == len(parts) and len(numbers[2]) == 4:
        if int(numbers[0]) <= 12 and int(numbers[1]) <= 12 and numbers[0] != numbers[1] and "." not in line:
            raise Odd("date_either_way")  # 5/3 is May in one country and March in another
        first, second = numbers[:2]
        found = (numbers[2], second, first) if int(second) <= 12 else (numbers[2], first, second)
    else:
        raise Odd("date")
    if len(found[0]) != 4:
        raise Odd("date")
    try:
        day_of_birth = date(int(found[0]), int(found[1]), int(found[2]))
    except ValueError:
        raise Odd("date") from None
    if not date(1900, 1, 1) <= day_of_birth <= datetime.now(UTC).date():
        raise Odd("date_not_lived")
    return day_of_birth


def _split(words: str) -> list[str]:
    parts = [part.strip(" .•*\t") for part in re.split(r"[,;\n]+", words)]
    parts = [part for part in parts if part]
    if len(parts) > 1:  # "reading, cooking and running": but "rock and roll" alone is one thing
        last = re.sub(r"^and\s+", "", parts.pop())
        parts += re.split(r"\s+and\s+", last)
    return parts


def _list(words: str) -> list[str]:
    items: dict[str, str] = {}
    for part in _split(words):
        item = " ".join(part.split())
        if len(item) > LONGEST_ITEM:
            raise Odd("list")
        items.setdefault(item.casefold(), item)
    if not 0 < len(items) <= MOST_ITEMS:
        raise Odd("list")
    return list(items.values())


def _ages(line: str) -> list[str]:
    said = line.casefold()
    for number, word in enumerate(NUMBERS):
        said = re.sub(rf"\b{word}\b", str(number), said)
    age = r"(\d{1,2})(?:\s*(years?|yrs?|y|months?|weeks?|days?)\b)?(?:\s+old\b)?"
    rest = re.sub(age, " ", said)
    if re.sub(r"\band\b|[\s,;.&+/-]", "", rest):
        raise Odd("ages")
    found = [
        number if not unit or unit.startswith("y") else f"{number} {unit}" for number, unit in re.findall(age, said)
    ]
    if not 0 < len(found) <= MOST_ITEMS:
        raise Odd("ages")
    return found


def _email(line: str) -> str:
    address = re.sub(r"\s+at\s+", "@", re.sub(r"\s+dot\s+", ".", line)).strip(" .,<>")
    if len(address) > 254 or not re.fullmatch(r"[^@\s,;<>]+@[^@\s,;<>.]+(\.[^@\s,;<>.]+)+", address):
        raise Odd("email")
    return address


def _phone(line: str) -> str:
    number = line.strip(" .")
    digits = sum(character.isdigit() for character in number)
    if not re.fullmatch(r"\+?[\d\s()./-]+", number) or not 5 <= digits <= 15:
        raise Odd("phone")
    return number


def _decimal(number: str) -> float:
    return float(number.replace(",", "."))


def _height(said: str, *, imperial: bool) -> int:
    feet = re.fullmatch(
        r"(\d)\s*(?:'|’|′|ft\.?|feet|foot)\s*(?:(\d{1,2})\s*(?:\"|”|″|''|in\.?|inch(?:es)?)?)?\.?", said
    )
    other = re.fullmatch(r"(\d{1,3}(?:[.,]\d{1,2})?)\s*(cm|centimet\w+|m|met\w+|in\.?|inch(?:es)?|\"|)\.?", said)
    if feet is not None:
        centimetres = (int(feet[1]) * 12 + int(feet[2] or 0)) * CENTIMETRES_IN_AN_INCH
    elif other is not None:
        number, unit = _decimal(other[1]), other[2]
        if unit.startswith(("in", '"')) or (not unit and imperial and number >= 20):
            centimetres = number * CENTIMETRES_IN_AN_INCH
        elif not unit and imperial:
            raise Odd("height_imperial")
        else:
            centimetres = number * 100 if unit.startswith("m") or (not unit and number < 3) else number
    else:
        raise Odd("height_imperial" if imperial else "height_metric")
    if round(centimetres) not in CENTIMETRES:
        raise Odd("height_imperial" if imperial else "height_metric")
    return round(centimetres / CENTIMETRES_IN_AN_INCH) if imperial else round(centimetres)


def _weight(said: str, *, imperial: bool) -> int:
    found = re.fullmatch(
        r"(\d{1,4}(?:[.,]\d{1,2})?)\s*(kg|kgs|kilo\w*|lbs?\.?|pounds?|st|stones?|)\s*(?:(\d{1,2})\s*(?:lbs?|pounds?)?)?\.?",
        said,
    )
    if found is None or (found[3] and not found[2].startswith("st")):
        raise Odd("weight_imperial" if imperial else "weight_metric")
    number, unit = _decimal(found[1]), found[2]
    if unit.startswith("st"):
        pounds = number * POUNDS_IN_A_STONE + int(found[3] or 0)
    elif unit.startswith(("lb", "pound")) or (not unit and imperial):
        pounds = number
    else:
        pounds = number * POUNDS_IN_A_KILOGRAM
    if round(pounds / POUNDS_IN_A_KILOGRAM) not in KILOGRAMS:
        raise Odd("weight_imperial" if imperial else "weight_metric")
    return round(pounds) if imperial else round(pounds / POUNDS_IN_A_KILOGRAM)


def converted(units: str | None, *, since: str | None, height: int | None, weight: int | None) -> dict[str, int | None]:
    """Height and weight in `units` that were measured in `since`, by column; empty where nothing changes."""
    to_imperial, was_imperial = units == "imperial", since == "imperial"
    if to_imperial == was_imperial:
        return {}
    inch, pound = CENTIMETRES_IN_AN_INCH, POUNDS_IN_A_KILOGRAM
    if to_imperial:
        inch, pound = 1 / inch, 1 / pound
    return {
        "height": None if height is None else round(height * inch),
        "weight": None if weight is None else round(weight / pound),
    }
