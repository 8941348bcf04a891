"""What is too long for a model is halved: the longest parts first, between tags that stay whole."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.ai import tokens
from bot.services import shorter


@given(st.lists(st.text("ab \n.&;", max_size=900), min_size=1, max_size=6))
def test_halved_material_is_half_as_long_and_keeps_rules_tags_and_short_parts(parts: list[str]) -> None:
    told = "\n\n".join(f'<part number="{place}">\n{text}\n</part>' for place, text in enumerate(parts))
    messages = [
        {"role": "system", "content": "The rules. " * 50},
        {"role": "user", "content": f"<all>\n{told}\n</all>\n\n<request>\nAdd my sister.\n</request>"},
    ]
    found = shorter.halved(messages)
    if found is None:
        assert sum(tokens.count(part) for part in parts) < 4 * shorter.LEAST
        return
    assert found[0] == messages[0] and [message["role"] for message in found] == ["system", "user"]
    text = found[1]["content"]
    for place in range(len(parts)):
        assert text.count(f'<part number="{place}">') == 1
    assert text.count("</part>") == len(parts) and "<request>\nAdd my sister.\n</request>" in text
    assert tokens.count(text) < tokens.count(messages[1]["content"])
