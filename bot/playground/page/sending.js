// What the person sends: shown at once, delivered in order, kept with "Try again" when it did not arrive.

import { kindOf, KINDS } from "./media.js";
import { draw, newEntry, place, remove } from "./messages.js";
import { toBottom } from "./scrolling.js";
import { call, fileAddress, keepLocalFile, post, problemWords } from "./server.js";
import { changed, chat, chatPath } from "./state.js";

const TEXT_LIMIT = 4096; // UTF-16 units in one message

let localNumber = 0;

function send(contents, kind, postIt) {
  const replied = chat.replyTo;
  const date = Math.floor(Date.now() / 1000);
  const messages = contents.map((content) => {
    localNumber += 1;
    return { message_id: -localNumber, date, ...content, ...(replied && { reply_to_message: replied }) };
  });
  const entry = newEntry(messages[0], false);
  Object.assign(entry, { messages, state: "sending", kind, post: () => postIt(replied?.message_id) });
  entry.node.classList.add("arriving");
  chat.replyTo = null;
  deliver(entry);
  changed();
}

export function deliver(entry) {
  const here = chat;
  entry.state = "sending";
  draw(entry);
  place(entry);
  toBottom();
  here.sending = here.sending.then(async () => {
    try {
      const { message, messages = [message] } = await entry.post();
      if (here === chat) settleEntry(entry, messages);
    } catch (problem) {
      if (entry.state === "sent" || !here.entries.includes(entry)) return;
      entry.state = "failed";
      entry.problem = problemWords(problem);
      if (here !== chat) return;
      draw(entry);
      place(entry);
    }
  });
}

function settleEntry(entry, messages) {
  if (entry.state === "sent" || !chat.entries.includes(entry)) return;
  if (messages.some((message) => chat.entryOf.has(message.message_id))) return remove(entry);
  for (const [index, message] of messages.entries()) {
    const before = KINDS[entry.kind]?.file?.(entry.messages[index])?.file_id;
    const after = KINDS[entry.kind]?.file?.(message)?.file_id;
    if (before && after && entry.kind === "photo") entry.drawn.set(after, entry.drawn.get(before));
    chat.entryOf.set(message.message_id, entry);
    if (message.media_group_id) chat.albums.set(message.media_group_id, entry);
  }
  entry.messages = messages;
  entry.state = "sent";
  draw(entry);
  place(entry);
}

// The event of our own message may come before the answer to the request that sent it, or instead of it when the
// connection broke in between. Of an album the first is claimed; the others join it by their group.
export function claim(message) {
  const kind = kindOf(message) ?? "text";
  const inAlbum = Boolean(message.media_group_id);
  const same = (entry) =>
    entry.kind === kind && entry.messages.length > 1 === inAlbum && (kind !== "text" || entry.messages[0].text === message.text);
  const waiting = chat.entries.filter((entry) => entry.state !== "sent" && same(entry));
  const entry = waiting.find((one) => one.state === "sending") ?? waiting[0];
  if (!entry) return false;
  settleEntry(entry, [message]);
  return true;
}

export function sendText(text) {
  for (const piece of pieces(text.trim())) {
    const path = chatPath("messages");
    send([{ text: piece }], "text", (replyId) => post(path, { text: piece, ...(replyId && { reply_to_message_id: replyId }) }));
  }
}

// Clients send what is too long as several messages, broken where the text breathes.
function pieces(text) {
  const parts = [];
  let rest = text;
  while (rest.length > TEXT_LIMIT) {
    const head = rest.slice(0, TEXT_LIMIT);
    const breaks = [head.lastIndexOf("\n"), head.lastIndexOf(" ")];
    const at = breaks.find((place_) => place_ > TEXT_LIMIT / 2) ?? TEXT_LIMIT - (/[\uD800-\uDBFF]$/.test(head) ? 1 : 0);
    parts.push(rest.slice(0, at));
    rest = rest.slice(at).trimStart();
  }
  if (rest) parts.push(rest);
  return parts;
}

export const sendFile = (file, kind, { duration, ...more } = {}) => sendFiles([file], kind, { durations: [duration], ...more });

// Several at once are an album, of up to ten photos or videos.
export async function sendFiles(files, kind, { caption = "", durations = [], name } = {}) {
  const path = chatPath("uploads");
  const named = files.map((file) => name ?? file.name ?? "file");
  const contents = await Promise.all(
    files.map((file, index) => localContent(file, kind, { duration: durations[index], name: named[index] })),
  );
  if (caption) contents[0].caption = caption;
  send(contents, kind, (replyId) => {
    const form = new FormData();
    form.append("kind", kind);
    if (caption) form.append("caption", caption);
    if (replyId) form.append("reply_to_message_id", String(replyId));
    for (const [index, file] of files.entries()) form.append("file", file, named[index]);
    return call(path, { method: "POST", form, seconds: 120 });
  });
}

async function localContent(file, kind, { duration, name }) {
  const fileId = keepLocalFile(file);
  const media = { file_id: fileId, file_name: name, file_size: file.size, duration: duration ?? 0 };
  if (kind !== "photo") return { [kind]: media };
  const { width, height } = await pictureSize(fileAddress(fileId));
  return { photo: [{ file_id: fileId, width, height }] };
}

function pictureSize(address) {
  const image = new Image();
  image.src = address;
  const size = () => ({ width: image.naturalWidth || 320, height: image.naturalHeight || 240 });
  return image.decode().then(size, size);
}

export function sendSpecial(kind) {
  const path = chatPath(kind);
  const content = kind === "poll" ? { poll: { question: "Poll", options: [] } } : { location: { latitude: 0, longitude: 0 } };
  send([content], kind, () => post(path));
}
