"""What VIVA is compared with: a bare aiogram bot that streams from the same model and keeps nothing."""

from __future__ import annotations

import asyncio
import os

import openai
from aiogram import Bot, Dispatcher
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.types import Message


async def serve(token: str, telegram: str, model: str) -> None:
    """Answer every message with the model's answer to it alone, until cancelled."""
    bot = Bot(token, session=AiohttpSession(api=TelegramAPIServer.from_base(telegram)))
    dispatcher = Dispatcher()
    async with openai.AsyncOpenAI(api_key="stand-in", base_url=model) as client:

        @dispatcher.message()
        async def on_words(message: Message) -> None:
            chunks = await client.chat.completions.create(
                model="gpt-4.1-mini",
                messages=[
                    {"role": "system", "content": "You are a kind companion."},
                    {"role": "user", "content": message.text or ""},
                ],
                stream=True,
            )
            words = [choice.delta.content or "" async for chunk in chunks for choice in chunk.choices]
            await message.answer("".join(words))

        await dispatcher.start_polling(bot, handle_signals=False)


if __name__ == "__main__":
    asyncio.run(serve(os.environ["TELEGRAM_BOT_TOKEN"], os.environ["TELEGRAM_API_URL"], os.environ["OPENAI_BASE_URL"]))
