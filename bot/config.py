"""Settings of VIVA, read once from the environment and `.env`."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import platformdirs
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from bot.errors import SettingsError

STAND_IN_KEY = "stand-in"
"""The API key under which the local stand-in model is used."""


class Settings(BaseSettings):
    """Every setting VIVA knows. `.env.example` lists the same names with their meaning."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True)

    telegram_bot_token: SecretStr | None = None
    telegram_api_url: str = "https://api.telegram.org"
    telegram_webhook_url: str | None = None
    telegram_webhook_secret: SecretStr | None = None
    telegram_chat_rate: float = Field(1.0, gt=0, le=1000)
    telegram_upload_mb: float = Field(50, gt=0, le=2000)
    telegram_rate: float = Field(30.0, gt=0, le=10_000)
    webhook_port: int = Field(8443, ge=1, le=65535)

    openai_api_key: SecretStr | None = None
    openai_base_url: str | None = None
    viva_chat_model: str = "gpt-4.1-mini"
    viva_transcribe_model: str | None = "gpt-4o-mini-transcribe"
    viva_speech_model: str | None = "tts-1"
    viva_image_model: str | None = "gpt-image-1-mini"
    viva_embedding_model: str | None = None
    elevenlabs_api_key: SecretStr | None = None
    elevenlabs_base_url: str | None = None
    elevenlabs_model: str = "eleven_multilingual_v2"
    viva_prices_file: Path | None = None
    viva_context_tokens: int = Field(12_000, ge=2_000, le=200_000)

    database_url: str | None = None
    database_pool_size: int = Field(8, ge=2, le=200)
    database_pooled: bool = False
    media_url: str | None = None
    viva_home: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("viva", appauthor=False)))
    playground_port: int = Field(8484, ge=0, le=65535)

    viva_starting_tokens: int = Field(200_000, ge=0, le=1_000_000_000)
    viva_drip_tokens: int = Field(100_000, ge=0, le=1_000_000_000)
    viva_drip_rollover_cycles: int = Field(1, ge=0, le=24)
    viva_admin_ids: Annotated[frozenset[int], NoDecode] = frozenset()
    viva_support: str | None = Field(None, max_length=200)
    metrics_port: int | None = Field(None, ge=1, le=65535)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @field_validator("viva_admin_ids", mode="before")
    @classmethod
    def _ids(cls, value: object) -> object:
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        return value

    @field_validator(
        "viva_transcribe_model", "viva_speech_model", "viva_image_model", "viva_embedding_model", mode="after"
    )
    @classmethod
    def _none_means_none(cls, value: str | None) -> str | None:
        return None if value is not None and value.lower() == "none" else value

    @field_validator("telegram_bot_token", mode="after")
    @classmethod
    def _token_shape(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            number, _, secret = value.get_secret_value().partition(":")
            if not number.isdigit() or len(secret) < 20:
                raise ValueError("is not a bot token, which BotFather writes like 123456789:AAE-thirty-five-characters")
        return value

    @field_validator("telegram_api_url", "openai_base_url", "elevenlabs_base_url", mode="after")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None and not _is_address(value, "http", "https"):
            raise ValueError("is not an address that begins with https:// or http://")
        return value

    @field_validator("database_url", mode="after")
    @classmethod
    def _database(cls, value: str | None) -> str | None:
        # Checked here, as the driver's own errors quote what they cannot read, which may be the password.
        if value is not None and not _is_database(value):
            raise ValueError(
                "is not an address like postgresql://user:password@host/database; "
                "in a password write # / ? @ : and % as %23 %2F %3F %40 %3A and %25"
            )
        return value

    @field_validator("telegram_webhook_secret", mode="after")
    @classmethod
    def _secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", value.get_secret_value()):
            raise ValueError("must be 1 to 256 characters out of A-Z a-z 0-9 _ and -")
        return value

    @model_validator(mode="after")
    def _webhook_needs_its_secret(self) -> Settings:
        if self.telegram_webhook_url and not self.telegram_webhook_secret:
            raise ValueError("TELEGRAM_WEBHOOK_SECRET must be set together with TELEGRAM_WEBHOOK_URL")
        if self.telegram_webhook_url and not _is_webhook(self.telegram_webhook_url):
            raise ValueError("TELEGRAM_WEBHOOK_URL must begin with https:// (http:// only to this machine)")
        return self

    @property
    def provider(self) -> str:
        """Who gets what a person wrote, in words: the AI provider in use, and who reads aloud beside it."""
        if self.elevenlabs_api_key is not None:
            return f"{self._chat_provider}, and ElevenLabs for what is read aloud"
        return self._chat_provider

    @property
    def _chat_provider(self) -> str:
        if self.openai_api_key is not None and self.openai_api_key.get_secret_value() == STAND_IN_KEY:
            return "a stand-in on this machine, which is no real AI and sends nothing anywhere"
        if self.openai_base_url is None:
            return "OpenAI"
        return urlsplit(self.openai_base_url).hostname or "a server of our own"

    @property
    def speech_provider(self) -> str:
        """Who reads aloud: "elevenlabs" or "openai" (or whoever shares its API)."""
        return "openai" if self.elevenlabs_api_key is None else "elevenlabs"

    @property
    def speech_model(self) -> str | None:
        """The model that reads aloud."""
        return self.viva_speech_model if self.elevenlabs_api_key is None else self.elevenlabs_model

    @cached_property
    def media_location(self) -> str:
        """Where media are kept: `MEDIA_URL`, or a folder beside the embedded database."""
        return self.media_url or (self.viva_home / "media").absolute().as_uri()


def _is_address(value: str, *schemes: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in schemes and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


def _is_database(value: str) -> bool:
    parts = urlsplit(value)
    hosts = parts.netloc.rpartition("@")[2].split(",")
    return (
        parts.scheme in ("postgresql", "postgres")
        and not parts.fragment
        and all(re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^:\[\]]*)(:\d+)?", host) for host in hosts)
    )


def _is_webhook(value: str) -> bool:
    local = _is_address(value, "http") and urlsplit(value).hostname in ("127.0.0.1", "localhost", "::1")
    return local or _is_address(value, "https")


def read_settings(**overrides: object) -> Settings:
    """The settings of this process; raises SettingsError with one sentence naming the variable."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).upper() if first["loc"] else ""
        message = str(first["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")
        raise SettingsError(f"{name} {message}.".strip() if name else f"{message}.") from None
