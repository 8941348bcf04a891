"""The doors to the outside that a job may open: models, media, files that people sent, payments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bot.ai.model import Model
from bot.media import Media


class SentFiles(Protocol):
    """Files that people sent, as the messenger keeps them for a while."""

    async def fetch(self, file_id: str) -> bytes:
        """The bytes; raises bot.errors.TooLarge over the messenger's download limit, NotFound when it is gone."""


class Payments(Protocol):
    """Payments in Telegram Stars."""

    async def give_back(self, *, telegram_id: int, charge_id: str) -> None:
        """Return all Stars of a payment; one that was returned already is done.

        Raises bot.errors.RefundRefused where that will never be, anything else where it may be later.
        """

    async def subscription_link(self, subscription: dict[str, object]) -> str:
        """The link under which a subscription can be paid; `subscription` is the payload of createInvoiceLink.

        Raises bot.errors.RenewalRefused where Telegram will make none, anything else where it may later.
        """

    async def set_renewal(self, *, telegram_id: int, charge_id: str, canceled: bool) -> None:
        """Let a subscription, named by its first payment, not be renewed any more, or let the person turn it on again.

        Raises bot.errors.RenewalRefused where Telegram will not, anything else where it may later.
        """


class Worth(Protocol):
    """What calls take from the balance, where that is known before they are made. Raises bot.errors.NoModel."""

    def picture_tokens(self) -> int:
        """Tokens of one picture."""

    def speech_tokens(self, characters: int) -> int:
        """Tokens of so many characters read aloud."""


@dataclass(frozen=True, kw_only=True)
class Doors:
    """What the composition root opened for jobs.

    `context_tokens` is how much of a talk a model is given at most, `upload_limit` how many bytes
    of a file Telegram takes, `home` the folder below which jobs write what they do not keep (`services.scratch`).
    """

    model: Model
    media: Media
    sent_files: SentFiles
    payments: Payments
    context_tokens: int
    upload_limit: int
    home: Path
