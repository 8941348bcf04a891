"""What can go wrong, in the words of the person who meets it.

VivaError                 anything VIVA can explain; `str(error)` is shown to the person
├── NotNow                the screen or button is of another time; the person is shown where things stand
├── NotUnderstood         what was sent cannot be used here; says what can
├── TooLarge              a file or text is over a limit; says which
├── StorageFull           there is no room left for a file; the rest of what was sent is kept
├── NotFound              the thing is gone, or was never theirs
├── RefundRefused         Telegram will not return these Stars
├── RenewalRefused        Telegram will not change this subscription
└── ModelError            a call to the model ended without a usable answer
    ├── OutOfTokens       refused before the call: the balance is too short
    ├── ModelUnavailable  the provider cannot answer now; worth another try later
    │   └── ProviderClosed  it does not let VIVA in (key, account): no use until somebody has looked after it
    ├── ModelRefused      the provider will not answer this request
    │   └── ContextTooLong  it is longer than the model can read; a shorter one may go through
    └── NoModel           no model is configured for this kind of work
SettingsError             wrong configuration; names the variable; never reaches a person
"""

from __future__ import annotations


class VivaError(Exception):
    """Something VIVA can explain: `str(error)` is one or two kind sentences for the person."""


class NotNow(VivaError):
    """A button of an older screen, or an action that does not fit where things stand."""


class NotUnderstood(VivaError):
    """What was sent cannot be used here."""


class TooLarge(VivaError):
    """A file or a text is over a limit that the message names."""


class StorageFull(VivaError):
    """The person's room in the media store is used up; only the file is refused."""


class NotFound(VivaError):
    """The thing does not exist for this person."""


class RefundRefused(VivaError):
    """Telegram will not return the Stars of this payment; asking again would not help."""


class RenewalRefused(VivaError):
    """Telegram will not change the renewal of this subscription; asking again would not help."""


class ModelError(VivaError):
    """A call to the model ended without a usable answer. Nothing the person sent is lost."""


class OutOfTokens(ModelError):
    """The balance does not cover the call. `missing` is how many tokens short it is."""

    def __init__(self, message: str, *, missing: int, available: int) -> None:
        super().__init__(message)
        self.missing = missing
        self.available = available


class ModelUnavailable(ModelError):
    """The provider cannot answer now (network, overload, rate limit); another try may go through."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ProviderClosed(ModelUnavailable):
    """The provider does not let VIVA in: its key or its account there has to be looked after by who runs VIVA."""


class ModelRefused(ModelError):
    """The provider will not answer this request; the same request will not go through later."""


class ContextTooLong(ModelRefused):
    """The request is longer than the model can read; a shorter one may go through."""


class NoModel(ModelError):
    """No model is configured for this kind of work."""


class SettingsError(Exception):
    """The configuration is wrong. The message is one sentence that names the variable."""
