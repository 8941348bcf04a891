"""The methods of the Bot API that the playground speaks, with Telegram's limits and its refusals."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from bot.playground import attachments, entities, markup, payments
from bot.playground.chats import DRAFT_SECONDS, Chat, Chats, Draft, Json, Refused, bad_request
from bot.playground.parameters import Parameters, Upload

LONGEST_TEXT = 4096
MOST_IN_ALBUM = 10
LONGEST_CAPTION = 1024
LONGEST_ANSWER = 200
LARGEST_DOWNLOAD = 20 * 1024 * 1024
DELETABLE_SECONDS = 48 * 3600
MOST_COMMANDS = 100
CAPTIONED = ("photo", "voice", "audio", "video", "document")
ALBUM_KINDS = ("photo", "video", "document", "audio")
SENDING = ("typing", "choose_sticker", "find_location")
FILMING = ("record_video", "upload_video", "record_video_note", "upload_video_note")
ACTIONS = frozenset((*SENDING, *FILMING, "upload_photo", "record_voice", "upload_voice", "upload_document"))
EMOJI = """
❤ 👍 👎 🔥 🥰 👏 😁 🤔 🤯 😱 🤬 😢 🎉 🤩 🤮 💩 🙏 👌 🕊 🤡 🥱 🥴 😍 🐳 ❤‍🔥 🌚
🌭 💯 🤣 ⚡ 🍌 🏆 💔 🤨 😐 🍓 🍾 💋 🖕 😈 😴 😭 🤓 👻 👨‍💻 👀 🎃 🙈 😇 😨 🤝 ✍
🤗 🫡 🎅 🎄 ☃ 💅 🤪 🗿 🆒 💘 🙉 🦄 😘 💊 🙊 😎 👾 🤷‍♂ 🤷 🤷‍♀ 😡
"""
REACTIONS = frozenset(EMOJI.split())
NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same as a "
    "current content and reply markup of the message"
)

Method = Callable[[Parameters], Awaitable[Any]]


class Methods:
    """Every method by its lower-case name; a method takes Parameters and gives the result or raises Refused."""

    def __init__(self, chats: Chats, *, bot: Json) -> None:
        self._chats = chats
        self._bot = bot
        self.by_name: dict[str, Method] = {
            "getme": self.get_me,
            "sendmessage": self.send_message,
            "sendmessagedraft": self.send_message_draft,
            "sendchataction": self.send_chat_action,
            "sendphoto": self.send_photo,
            "sendvoice": self.send_voice,
            "sendaudio": self.send_audio,
            "sendvideo": self.send_video,
            "senddocument": self.send_document,
            "sendmediagroup": self.send_media_group,
            "editmessagetext": self.edit_message_text,
            "editmessagecaption": self.edit_message_caption,
            "editmessagereplymarkup": self.edit_message_reply_markup,
            "editmessagemedia": self.edit_message_media,
            "deletemessage": self.delete_message,
            "deletemessages": self.delete_messages,
            "pinchatmessage": self.pin_chat_message,
            "unpinchatmessage": self.unpin_chat_message,
            "setmessagereaction": self.set_message_reaction,
            "answercallbackquery": self.answer_callback_query,
            "sendinvoice": self.send_invoice,
            "createinvoicelink": self.create_invoice_link,
            "edituserstarsubscription": self.edit_user_star_subscription,
            "answerprecheckoutquery": self.answer_pre_checkout_query,
            "refundstarpayment": self.refund_star_payment,
            "getstartransactions": self.get_star_transactions,
            "getfile": self.get_file,
            "setmycommands": self.set_my_commands,
            "getmycommands": self.get_my_commands,
            "deletemycommands": self.delete_my_commands,
            "setmyname": self.set_my_name,
            "getmyname": self.get_my_name,
            "setmydescription": self.set_my_description,
            "getmydescription": self.get_my_description,
            "setmyshortdescription": self.set_my_short_description,
            "getmyshortdescription": self.get_my_short_description,
            "setchatmenubutton": self.set_chat_menu_button,
            "getchatmenubutton": self.get_chat_menu_button,
        }

    async def get_me(self, _call: Parameters) -> Json:
        """The bot as a User."""
        return {
            **self._bot,
            "can_join_groups": True,
            "can_read_all_group_messages": False,
            "supports_inline_queries": False,
            "can_connect_to_business": False,
            "has_main_web_app": False,
        }

    # Sending

    async def send_message(self, call: Parameters) -> Json:
        """The text message sent."""
        chat = self._chat_to_write_to(call)
        content = self._text(call)
        if link_preview := call.structure("link_preview_options"):
            content["link_preview_options"] = link_preview
        return self._send(chat, call, content)

    async def send_message_draft(self, call: Parameters) -> bool:
        """True once the draft is shown; private chats only, an empty text is a placeholder."""
        chat = self._chat_to_write_to(call)
        if not chat.private:
            raise bad_request("TEXTDRAFT_PEER_INVALID")
        draft_id = call.integer("draft_id")
        if not draft_id:
            raise bad_request("RANDOM_ID_INVALID")
        text, found = self._read(call, "text", "entities")
        if entities.length(text) > LONGEST_TEXT:
            raise bad_request("message is too long")
        draft = Draft(
            draft_id=draft_id,
            text=text,
            entities=found,
            can_stop=call.boolean("can_stop"),
            keep_on_stop=call.boolean("keep_on_stop"),
            ends=self._chats.now() + DRAFT_SECONDS,
        )
        self._chats.show_draft(chat.described["id"], draft)
        return True

    async def send_chat_action(self, call: Parameters) -> bool:
        """True once the action is shown."""
        chat = self._chat_to_write_to(call)
        action = call.text("action")
        if action not in ACTIONS:
            raise bad_request("wrong parameter action in request")
        self._chats.show_action(chat.described["id"], action)
        return True

    async def send_photo(self, call: Parameters) -> Json:
        """The photo message sent."""
        return await self._send_file(call, "photo")

    async def send_voice(self, call: Parameters) -> Json:
        """The voice message sent; another format than OGG/Opus, MP3 or M4A becomes a document."""
        return await self._send_file(call, "voice", duration=call.integer("duration"))

    async def send_audio(self, call: Parameters) -> Json:
        """The audio message sent."""
        return await self._send_file(
            call,
            "audio",
            duration=call.integer("duration"),
            performer=call.text("performer") or None,
            title=call.text("title") or None,
        )

    async def send_video(self, call: Parameters) -> Json:
        """The video message sent."""
        return await self._send_file(call, "video")

    async def send_document(self, call: Parameters) -> Json:
        """The document message sent."""
        return await self._send_file(call, "document")

    async def send_media_group(self, call: Parameters) -> list[Json]:
        """The messages of an album, 2 to 10 of them."""
        chat = self._chat_to_write_to(call)
        given = call.structure("media")
        if not isinstance(given, list) or len(given) < 2:
            raise bad_request("there are too few messages to send as an album")
        if len(given) > MOST_IN_ALBUM:
            raise bad_request("too many messages to send as an album")
        kinds = {item.get("type") for item in given if isinstance(item, dict)}
        if not kinds <= set(ALBUM_KINDS):
            raise bad_request("can't parse InputMedia: media type is not supported in an album")
        if len(kinds) > 1 and not kinds <= {"photo", "video"}:
            mixed = "document" if "document" in kinds else "audio"
            raise bad_request(f"{mixed} can't be mixed with other media types")
        contents = [await self._input_media(call, item) for item in given]
        album = self._chats.new_file_id()[-18:]
        return [self._send(chat, call, {"media_group_id": album, **content}) for content in contents]

    # Editing

    async def edit_message_text(self, call: Parameters) -> Json:
        """The message with its new text."""
        message = self._own_message(call)
        if "text" not in message:
            raise bad_request("there is no text in the message to edit")
        content = self._text(call)
        if link_preview := call.structure("link_preview_options"):
            content["link_preview_options"] = link_preview
        return self._edit(message, call, {"text", "entities", "link_preview_options"}, content)

    async def edit_message_caption(self, call: Parameters) -> Json:
        """The message with its new caption."""
        message = self._own_message(call)
        if not any(kind in message for kind in CAPTIONED):
            raise bad_request("there is no caption in the message to edit")
        return self._edit(message, call, {"caption", "caption_entities"}, self._caption(call))

    async def edit_message_reply_markup(self, call: Parameters) -> Json:
        """The message with its new keyboard."""
        return self._edit(self._own_message(call), call, set(), {})

    async def edit_message_media(self, call: Parameters) -> Json:
        """The message with another photo or file."""
        message = self._own_message(call)
        if "voice" in message or "sticker" in message:
            raise bad_request("message can't be edited")
        content = await self._input_media(call, call.structure("media"))
        replaced = {"text", "entities", "caption", "caption_entities", "link_preview_options", *CAPTIONED}
        # Keeping the file took a while: the message may be another by now.
        return self._edit(self._own_message(call), call, replaced, content)

    async def delete_message(self, call: Parameters) -> bool:
        """True once the message is gone; refused 48 hours after it was sent."""
        chat_id = self._chat(call).described["id"]
        message = self._message(call, "message to delete not found")
        if not self._deletable(message):
            raise bad_request("message can't be deleted for everyone")
        self._chats.delete_message(chat_id, message["message_id"])
        return True

    async def delete_messages(self, call: Parameters) -> bool:
        """True always; the messages that can be deleted are gone."""
        chat = self._chat(call)
        numbers = call.structure("message_ids")
        if not isinstance(numbers, list) or not 1 <= len(numbers) <= 100:
            raise bad_request("expected an Array of 1-100 message identifiers")
        for number in numbers:
            message = chat.messages.get(number) if isinstance(number, int) else None
            if message is not None and self._deletable(message):
                self._chats.delete_message(chat.described["id"], number)
        return True

    async def pin_chat_message(self, call: Parameters) -> bool:
        """True once the message is pinned."""
        chat_id = self._chat_to_write_to(call).described["id"]
        self._chats.pin(chat_id, self._message(call, "message to pin not found")["message_id"])
        return True

    async def unpin_chat_message(self, call: Parameters) -> bool:
        """True once the message, or the last pinned one, is pinned no more."""
        chat = self._chat_to_write_to(call)
        number = call.integer("message_id") or (chat.pinned[-1] if chat.pinned else None)
        if number not in chat.pinned:
            raise bad_request("message to unpin not found")
        self._chats.unpin(chat.described["id"], number)
        return True

    async def set_message_reaction(self, call: Parameters) -> bool:
        """True once the reaction is shown; a bot has one, and an empty list takes it away."""
        chat_id = self._chat_to_write_to(call).described["id"]
        message = self._message(call, "message to react not found")
        reaction = call.structure("reaction") or []
        if not isinstance(reaction, list) or not all(isinstance(one, dict) for one in reaction):
            raise bad_request("can't parse reaction types JSON object")
        if len(reaction) > 1:
            raise bad_request("REACTIONS_TOO_MANY")
        if any(one.get("type") != "emoji" or one.get("emoji") not in REACTIONS for one in reaction):
            raise bad_request("REACTION_INVALID")
        self._chats.set_reaction(chat_id, message["message_id"], reaction)
        return True

    async def answer_callback_query(self, call: Parameters) -> bool:
        """True once the tapped button stops waiting."""
        text = call.text("text")
        if entities.length(text) > LONGEST_ANSWER:
            raise bad_request("MESSAGE_TOO_LONG")
        answer: Json = {"show_alert": call.boolean("show_alert")}
        self._chats.answer_query(call.text("callback_query_id"), {**answer, "text": text} if text else answer)
        return True

    # Stars

    async def send_invoice(self, call: Parameters) -> Json:
        """The invoice sent, in Stars; the first button under it pays."""
        chat = self._chat_to_write_to(call)
        invoice, payload = payments.read_invoice(call)
        keyboard = payments.keyboard(markup.read(call.structure("reply_markup")), invoice["total_amount"])
        message = self._send(chat, call, {"invoice": invoice, "reply_markup": keyboard})
        self._chats.add_invoice(chat.described["id"], message["message_id"], payload)
        return message

    async def create_invoice_link(self, call: Parameters) -> str:
        """The address under which an invoice can be paid, once or as a subscription."""
        invoice, payload = payments.read_invoice(call)
        period = payments.read_period(call, invoice["total_amount"])
        return payments.LINK + self._chats.add_invoice_link(invoice, payload=payload, period=period)

    async def edit_user_star_subscription(self, call: Parameters) -> bool:
        """True once a subscription, named by its first payment, is not renewed or may be turned on again."""
        user_id, charge_id = call.integer("user_id"), call.text("telegram_payment_charge_id")
        subscription = self._chats.subscriptions.get(charge_id)
        if user_id not in self._chats.people:
            raise bad_request("USER_ID_INVALID")
        if subscription is None or subscription["user"] != user_id:
            raise bad_request("CHARGE_ID_INVALID")
        stopped = call.boolean("is_canceled")
        # Allowed again, it stays canceled until the person turns it on.
        canceled = stopped or subscription["canceled"] or subscription["bot_canceled"]
        self._chats.change_subscription(charge_id, bot_canceled=stopped, canceled=canceled)
        return True

    async def answer_pre_checkout_query(self, call: Parameters) -> bool:
        """True once the person who pays has the answer; refused after ten seconds."""
        self._chats.answer_checkout(call.text("pre_checkout_query_id"), payments.read_answer(call))
        return True

    async def refund_star_payment(self, call: Parameters) -> bool:
        """True once the Stars are back, which the chat says as well; refused the second time."""
        user_id, charge_id = call.integer("user_id"), call.text("telegram_payment_charge_id")
        payment = self._chats.payments.get(charge_id)
        if user_id not in self._chats.people:
            raise bad_request("USER_ID_INVALID")
        if payment is None or payment["user"] != user_id:
            raise bad_request("CHARGE_NOT_FOUND")
        if payment["refunded"] is not None:
            raise bad_request("CHARGE_ALREADY_REFUNDED")
        self._chats.refund_payment(charge_id)
        said = {**payments.told(payment), "telegram_payment_charge_id": charge_id}
        self._chats.add_update(
            "message", self._chats.add_message(payment["user"], self._bot, {"refunded_payment": said})
        )
        return True

    async def get_star_transactions(self, call: Parameters) -> Json:
        """A page of at most 100 payments and refunds, oldest first."""
        limit, offset = call.integer("limit"), call.integer("offset") or 0
        if offset < 0 or not 1 <= (100 if limit is None else limit) <= 100:
            raise bad_request("wrong limit or offset specified")
        every = payments.transactions(self._chats)
        return {"transactions": every[offset : offset + (100 if limit is None else limit)]}

    # Files

    async def get_file(self, call: Parameters) -> Json:
        """The file with the path it can be downloaded from; refused over 20 MB."""
        stored = self._chats.file(call.text("file_id"))
        if stored.size > LARGEST_DOWNLOAD:
            raise bad_request("file is too big")
        return {
            "file_id": stored.file_id,
            "file_unique_id": stored.file_unique_id,
            "file_size": stored.size,
            "file_path": stored.path,
        }

    # The bot about itself

    async def set_my_commands(self, call: Parameters) -> bool:
        """True once the commands of this scope and language are kept."""
        commands = call.structure("commands")
        if not isinstance(commands, list) or not all(isinstance(command, dict) for command in commands):
            raise bad_request("expected an Array of BotCommand")
        if len(commands) > MOST_COMMANDS:
            raise bad_request("BOT_COMMANDS_TOO_MUCH")
        kept = []
        for command in commands:
            if not re.fullmatch(r"[a-z0-9_]{1,32}", str(command.get("command", ""))):
                raise bad_request("BOT_COMMAND_INVALID")
            if not 1 <= entities.length(str(command.get("description", ""))) <= 256:
                raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
            kept.append({"command": command["command"], "description": command["description"]})
        self._chats.set(_commands_of(call), kept)
        return True

    async def get_my_commands(self, call: Parameters) -> Any:
        """The commands of this scope and language."""
        return self._chats.settings.get(_commands_of(call), [])

    async def delete_my_commands(self, call: Parameters) -> bool:
        """True once this scope and language have no commands of their own."""
        self._chats.set(_commands_of(call), [])
        return True

    async def set_my_name(self, call: Parameters) -> bool:
        """True once the bot has this name."""
        return self._set_words(call, "name", longest=64)

    async def get_my_name(self, call: Parameters) -> Json:
        """The bot's name in this language."""
        return {"name": self._words(call, "name") or self._bot["first_name"]}

    async def set_my_description(self, call: Parameters) -> bool:
        """True once an empty chat shows this text."""
        return self._set_words(call, "description", longest=512)

    async def get_my_description(self, call: Parameters) -> Json:
        """What an empty chat shows in this language."""
        return {"description": self._words(call, "description")}

    async def set_my_short_description(self, call: Parameters) -> bool:
        """True once the bot's card shows this text."""
        return self._set_words(call, "short_description", longest=120)

    async def get_my_short_description(self, call: Parameters) -> Json:
        """What the bot's card says in this language."""
        return {"short_description": self._words(call, "short_description")}

    async def set_chat_menu_button(self, call: Parameters) -> bool:
        """True once the menu button is kept."""
        button = call.structure("menu_button") or {"type": "default"}
        if not isinstance(button, dict) or button.get("type") not in ("commands", "web_app", "default"):
            raise bad_request("can't parse menu button: unsupported type specified")
        self._chats.set(f"menu_button {call.text('chat_id')}", button)
        return True

    async def get_chat_menu_button(self, call: Parameters) -> Any:
        """The menu button of a chat, or the one all chats have."""
        settings = self._chats.settings
        common = settings.get("menu_button ", {"type": "commands"})
        return settings.get(f"menu_button {call.text('chat_id')}", common)

    # Parts

    def _chat(self, call: Parameters) -> Chat:
        given = call.text("chat_id")
        if not given:
            raise bad_request("chat_id is empty")
        if not re.fullmatch(r"-?\d{1,19}", given):
            raise bad_request("chat not found")
        return self._chats.chat(int(given))

    def _chat_to_write_to(self, call: Parameters) -> Chat:
        chat = self._chat(call)
        if chat.blocked:
            raise Refused(403, "Forbidden: bot was blocked by the user")
        if not chat.started:
            raise Refused(403, "Forbidden: bot can't initiate conversation with a user")
        return chat

    def _message(self, call: Parameters, missing: str) -> Json:
        message = self._chat(call).messages.get(call.integer("message_id") or 0)
        if message is None:
            raise bad_request(missing)
        return message

    def _own_message(self, call: Parameters) -> Json:
        message = self._message(call, "message to edit not found")
        if message["from"]["id"] != self._bot["id"]:
            raise bad_request("message can't be edited")
        return message

    def _deletable(self, message: Json) -> bool:
        ours = message["from"]["id"] == self._bot["id"] or message["chat"]["type"] == "private"
        return bool(ours and self._chats.now() - message["date"] < DELETABLE_SECONDS)

    def _read(self, call: Parameters, text: str, marked: str) -> tuple[str, list[Json]]:
        return entities.read(call.text(text), parse_mode=call.text("parse_mode"), entities=call.structure(marked))

    def _text(self, call: Parameters) -> Json:
        text, found = self._read(call, "text", "entities")
        if not text:
            raise bad_request("message text is empty")
        if entities.length(text) > LONGEST_TEXT:
            raise bad_request("message is too long")
        return {"text": text, "entities": found} if found else {"text": text}

    def _caption(self, call: Parameters) -> Json:
        return _captioned(*self._read(call, "caption", "caption_entities"))

    def _send(self, chat: Chat, call: Parameters, content: Json) -> Json:
        content = {**self._reply(chat, call), **content}
        keyboard = markup.read(call.structure("reply_markup"))
        if keyboard is not None:
            content["reply_markup"] = keyboard
        if call.boolean("protect_content"):
            content["has_protected_content"] = True
        return self._chats.add_message(chat.described["id"], self._bot, content)

    def _reply(self, chat: Chat, call: Parameters) -> Json:
        asked = call.structure("reply_parameters") or {}
        if not isinstance(asked, dict) or not isinstance(asked.get("message_id", 0), int):
            raise bad_request("can't parse reply parameters JSON object")
        number = asked.get("message_id") or call.integer("reply_to_message_id")
        if not number:
            return {}
        message = chat.messages.get(number)
        if message is None:
            if asked.get("allow_sending_without_reply") or call.boolean("allow_sending_without_reply"):
                return {}
            raise bad_request("message to be replied not found")
        return {"reply_to_message": {k: v for k, v in message.items() if k != "reply_to_message"}}

    async def _send_file(self, call: Parameters, kind: str, **details: Any) -> Json:
        chat = self._chat_to_write_to(call)
        upload = call.upload(kind) or call.attached(call.text(kind))
        # The words are checked first, so that a refused call leaves no file behind.
        caption = self._caption(call)
        markup.read(call.structure("reply_markup"))
        self._reply(chat, call)
        content = await self._file(kind, upload, call.text(kind), details)
        return self._send(chat, call, {**content, **caption})

    async def _file(self, kind: str, upload: Upload | None, file_id: str, details: Json) -> Json:
        if upload is not None:
            return await attachments.keep(
                self._chats, kind, upload.data, name=upload.name, mime=upload.mime, details=details
            )
        if not file_id:
            raise bad_request(f"there is no {kind} in the request")
        if re.match(r"https?://", file_id):
            raise bad_request("failed to get HTTP URL content")
        stored = self._chats.files.get(file_id)
        if stored is None:
            raise bad_request("wrong file identifier/HTTP URL specified")
        return attachments.again(stored, kind)

    async def _input_media(self, call: Parameters, item: Any) -> Json:
        if not isinstance(item, dict) or item.get("type") not in ALBUM_KINDS:
            raise bad_request("can't parse InputMedia: Unsupported type specified")
        caption = _captioned(
            *entities.read(
                item.get("caption") or "",
                parse_mode=item.get("parse_mode"),
                entities=item.get("caption_entities"),
            )
        )
        where = str(item.get("media") or "")
        details = {name: item.get(name) for name in ("duration", "performer", "title", "width", "height")}
        content = await self._file(item["type"], call.attached(where), where, details)
        return {**content, **caption}

    def _edit(self, message: Json, call: Parameters, replaced: set[str], content: Json) -> Json:
        keyboard = markup.read(call.structure("reply_markup"))
        kept = {name: value for name, value in message.items() if name not in {*replaced, "reply_markup"}}
        edited = {**kept, **content}
        if keyboard is not None:
            edited["reply_markup"] = keyboard
        if edited == message:
            raise bad_request(NOT_MODIFIED)
        if content or replaced:
            edited["edit_date"] = int(self._chats.now())
        self._chats.replace_message(message["chat"]["id"], edited)
        return edited

    def _set_words(self, call: Parameters, name: str, *, longest: int) -> bool:
        words = call.text(name)
        if entities.length(words) > longest:
            raise bad_request(f"bot {name.replace('_', ' ')} is too long")
        self._chats.set(f"{name} {call.text('language_code')}", words)
        return True

    def _words(self, call: Parameters, name: str) -> str:
        settings = self._chats.settings
        return str(settings.get(f"{name} {call.text('language_code')}") or settings.get(f"{name} ") or "")


def commands_for(chats: Chats, language: str) -> list[Json]:
    """The commands a person with this language sees in a private chat."""
    for scope in ("all_private_chats", "default"):
        for code in (language, ""):
            commands: list[Json] = chats.settings.get(_commands_key({"type": scope}, code), [])
            if commands:
                return commands
    return []


def _captioned(caption: str, found: list[Json]) -> Json:
    if entities.length(caption) > LONGEST_CAPTION:
        raise bad_request("message caption is too long")
    if not caption:
        return {}
    return {"caption": caption, "caption_entities": found} if found else {"caption": caption}


def _commands_of(call: Parameters) -> str:
    return _commands_key(call.structure("scope") or {"type": "default"}, call.text("language_code"))


def _commands_key(scope: Json, language: str) -> str:
    return f"commands {json.dumps(scope, sort_keys=True)} {language}"
