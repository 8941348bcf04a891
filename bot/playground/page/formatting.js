// Text and entities to nodes, as Telegram's clients show them. Whatever anybody wrote stays text.

import { icon, make } from "./tools.js";

const BLOCKS = new Set(["blockquote", "expandable_blockquote", "pre"]);
const PLAIN_TAGS = { bold: "strong", italic: "em", underline: "u", strikethrough: "s", code: "code" };
const rank = (entity) => (BLOCKS.has(entity.type) ? 0 : entity.type === "code" ? 2 : 1);
const byPlace = (a, b) => a.offset - b.offset || b.length - a.length || rank(a) - rank(b);

// Offsets are UTF-16 units, which is what JavaScript strings are made of.
export function formatted(text, entities = []) {
  const sound = entities.filter((entity) => entity.length > 0 && entity.offset >= 0 && entity.offset < text.length);
  const fragment = document.createDocumentFragment();
  fill(fragment, text, 0, text.length, sound.sort(byPlace));
  return fragment;
}

function fill(parent, text, start, end, entities) {
  let at = start;
  let waiting = entities;
  while (waiting.length) {
    const [entity, ...rest] = waiting;
    const from = Math.max(entity.offset, at);
    const until = Math.min(entity.offset + entity.length, end);
    if (until <= from) {
      waiting = rest;
      continue;
    }
    const inside = [];
    const after = [];
    for (const other of rest) {
      const otherEnd = other.offset + other.length;
      if (other.offset < until) inside.push(other);
      if (otherEnd > until) {
        const offset = Math.max(other.offset, until);
        after.push({ ...other, offset, length: otherEnd - offset });
      }
    }
    const isBlock = BLOCKS.has(entity.type);
    // A block breaks the line by itself, so the line break on either side of it would show as an empty line.
    const plainEnd = isBlock && from > at && text[from - 1] === "\n" ? from - 1 : from;
    parent.append(text.slice(at, plainEnd));
    const { outer, inner } = wrapper(entity, text.slice(from, until));
    fill(inner, text, from, until, inside);
    parent.append(outer);
    at = until;
    if (isBlock && at < end && text[at] === "\n") at += 1;
    waiting = after.sort(byPlace);
  }
  parent.append(text.slice(at, end));
}

function wrapper(entity, words) {
  const same = (node) => ({ outer: node, inner: node });
  switch (entity.type) {
    case "bold":
    case "italic":
    case "underline":
    case "strikethrough":
    case "code":
      return same(make(PLAIN_TAGS[entity.type]));
    case "text_link":
      return same(link(entity.url));
    case "url":
      return same(link(/^[a-z][a-z0-9+.-]*:/i.test(words) ? words : `https://${words}`));
    case "mention":
      return same(link(`https://t.me/${words.slice(1)}`));
    case "bot_command":
      return same(
        make("button", { className: "command", type: "button", data: { command: words.split("@")[0] } }),
      );
    case "pre": {
      const code = make("code");
      return { outer: make("pre", { data: entity.language ? { language: entity.language } : {} }, code), inner: code };
    }
    case "blockquote":
      return same(make("blockquote"));
    case "expandable_blockquote":
      return expandableQuote();
    case "spoiler":
      return same(spoiler());
    default:
      return same(make("span"));
  }
}

export function link(address) {
  let safe;
  try {
    safe = new URL(address);
  } catch {
    return make("span");
  }
  if (!["http:", "https:"].includes(safe.protocol)) return make("span");
  return make("a", { href: safe.href, target: "_blank", rel: "noopener noreferrer", title: safe.href });
}

function spoiler() {
  const node = make("span", { className: "spoiler", role: "button", tabindex: "0", "aria-label": "Hidden words. Show" });
  const show = (event) => {
    if (!node.hasAttribute("role") || (event.type === "keydown" && !["Enter", " "].includes(event.key))) return;
    event.preventDefault();
    event.stopPropagation();
    for (const name of ["role", "tabindex", "aria-label"]) node.removeAttribute(name);
  };
  node.addEventListener("click", show, true);
  node.addEventListener("keydown", show);
  return node;
}

function expandableQuote() {
  const body = make("div", { className: "quote-body folded" });
  const words = make("span", { text: "Show more" });
  const toggle = make("button", { className: "quote-toggle", type: "button", "aria-expanded": "false", hidden: true });
  toggle.append(words, icon("down"));
  toggle.addEventListener("click", () => {
    const open = body.classList.toggle("folded") === false;
    toggle.setAttribute("aria-expanded", String(open));
    words.textContent = open ? "Show less" : "Show more";
  });
  // Whether three lines are enough is known only when it is on the page.
  requestAnimationFrame(() => {
    toggle.hidden = body.scrollHeight <= body.clientHeight + 2;
    if (toggle.hidden) body.classList.remove("folded");
  });
  return { outer: make("blockquote", {}, body, toggle), inner: body };
}
