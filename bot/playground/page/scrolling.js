// The conversation stays at its end while the reader is there; otherwise a pill counts what is new.

import { bot } from "./state.js";
import { calm, find } from "./tools.js";

const NEAR = 48; // pixels from the end that still count as being there

let stick = true;
let lastTop = 0;
let unread = 0;
let unseen = 0;

// Stay at the end while it grows, or let the reader be.
export function follow(end) {
  stick = end;
}

export function toBottom() {
  stick = true;
  find("conversation").scrollTop = find("conversation").scrollHeight;
}

function distanceToEnd() {
  const view = find("conversation");
  return view.scrollHeight - view.scrollTop - view.clientHeight;
}

function measureStick() {
  stick = distanceToEnd() < NEAR;
  if (stick) unread = 0;
  showPill();
}

// Only a move upwards leaves the end: what grows below the reader between two frames is no wish of theirs.
function noticeScroll() {
  const { scrollTop } = find("conversation");
  if (scrollTop < lastTop || distanceToEnd() < NEAR) measureStick();
  lastTop = scrollTop;
}

export function countUnread() {
  if (document.hidden) {
    unseen += 1;
    showTitle();
  }
  if (!stick) setUnread(unread + 1);
}

export function setUnread(count) {
  unread = count;
  showPill();
}

function showPill() {
  const pill = find("to-bottom");
  pill.hidden = stick;
  pill.classList.toggle("unread", unread > 0);
  find("to-bottom-words").textContent = unread === 0 ? "" : unread === 1 ? "New message" : `${unread} new messages`;
  pill.setAttribute("aria-label", unread ? `${find("to-bottom-words").textContent}, go to the end` : "Go to the end");
}

export function showTitle() {
  document.title = unseen ? `(${unseen}) ${bot.first_name}` : bot.first_name;
}

export function watchScrolling() {
  const view = find("conversation");
  view.addEventListener("scroll", noticeScroll);
  const settle = new ResizeObserver(() => {
    if (stick) toBottom();
  });
  settle.observe(view);
  settle.observe(find("column"));
  // What the reader unfolds should not carry the page away under it.
  view.addEventListener(
    "click",
    (event) => {
      if (!event.target.closest(".quote-toggle")) return;
      follow(false);
      requestAnimationFrame(measureStick);
    },
    true,
  );
  find("to-bottom").addEventListener("click", () => {
    view.scrollTo({ top: view.scrollHeight, behavior: calm() ? "auto" : "smooth" });
    follow(true);
    setUnread(0);
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    unseen = 0;
    showTitle();
  });
}
