"""The one registry of life categories: keys as in the seed, labels, icons, order, story columns (domain section 1)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Category:
    """An area of life. `label` is the seed's, `short` fits a button, `story_column` is of `user_profiles`."""

    key: str
    label: str
    short: str
    icon: str
    story_column: str


@dataclass(frozen=True, kw_only=True)
class Section:
    """One of the fourteen sections of a vision; the key is its column of `vision_versions`."""

    key: str
    label: str
    icon: str


CATEGORIES: tuple[Category, ...] = (
    Category(key="fun", label="Fun / Recreation", short="Fun", icon="🎈", story_column="fun_recreation_story"),
    Category(key="health", label="Health / Vitality", short="Health", icon="🌿", story_column="health_vitality_story"),
    Category(
        key="travel", label="Travel / Adventure", short="Travel", icon="🧭", story_column="travel_adventure_story"
    ),
    Category(
        key="romance",
        label="Romance / Partnership",
        short="Romance",
        icon="💞",
        story_column="romance_partnership_story",
    ),
    Category(
        key="family", label="Family / Parenting", short="Family", icon="🫶", story_column="family_parenting_story"
    ),
    Category(key="social", label="Social / Friends", short="Friends", icon="☕", story_column="social_friends_story"),
    Category(key="home", label="Home / Environment", short="Home", icon="🏡", story_column="home_environment_story"),
    Category(key="business", label="Business / Career", short="Work", icon="🛠", story_column="career_work_story"),
    Category(key="money", label="Money / Abundance", short="Money", icon="🪙", story_column="money_wealth_story"),
    Category(
        key="possessions",
        label="Possessions / Lifestyle",
        short="Possessions",
        icon="🧺",
        story_column="possessions_lifestyle_story",
    ),
    Category(
        key="giving", label="Giving / Contribution", short="Giving", icon="🌱", story_column="giving_legacy_story"
    ),
    Category(
        key="spirituality",
        label="Spirituality / Growth",
        short="Spirit",
        icon="🌙",
        story_column="spirituality_growth_story",
    ),
)
"""In the display order of the assessment."""

_BY_KEY = {category.key: category for category in CATEGORIES}


def _bare(name: str) -> str:
    return re.sub(r"[\W_]", "", name).casefold()


def category(key: str) -> Category:
    """The category with this key; raises ValueError for an unknown one."""
    if key not in _BY_KEY:
        raise ValueError(f"there is no life category {key!r}")
    return _BY_KEY[key]


_BY_NAME = {_bare(name): each for each in CATEGORIES for name in (each.key, each.label)}


def named(names: Iterable[str]) -> list[str]:
    """The keys of the categories that these keys or labels name, each once; what names none is passed over.

    For rows that another program may have written: the seed says labels, such as "Fun / Recreation".
    """
    found = (_BY_NAME.get(_bare(name)) for name in names)
    return list(dict.fromkeys(each.key for each in found if each is not None))


SECTIONS: tuple[Section, ...] = (
    Section(key="forward", label="Forward", icon="🌅"),
    *(
        Section(key=key, label=category(key).label, icon=category(key).icon)
        for key in (
            "fun",
            "travel",
            "home",
            "family",
            "romance",
            "health",
            "money",
            "business",
            "social",
            "possessions",
            "giving",
            "spirituality",
        )
    ),
    Section(key="conclusion", label="Conclusion", icon="🌄"),
)
"""The fourteen sections of a vision in the order they are read."""
