// The people one can write as.

import { closeSuggestions, setText } from "./composer.js";
import { clearConversation, connect } from "./events.js";
import { draw, place } from "./messages.js";
import { cancelRecording } from "./recording.js";
import { post, problemWords } from "./server.js";
import { changed, chat, people, visit } from "./state.js";
import { find, icon, make, toast } from "./tools.js";

const unfinished = new Map(); // person id -> the words and the failed messages left behind when another person was chosen
const initials = (person) => [...person.first_name][0]?.toUpperCase() ?? "?";
const tint = (person) => `badge tint-${people.indexOf(person) % 5}`;

export function showPeople() {
  const entries = people.map((person) => {
    const here = person.id === chat?.person.id;
    return make(
      "button",
      { type: "button", role: "menuitemradio", "aria-checked": String(here), on: { click: () => openChat(person) } },
      make("span", { className: tint(person), text: initials(person), "aria-hidden": "true" }),
      make("span", { className: "menu-person" }, person.first_name, make("small", { text: [person.username && `@${person.username}`, person.language_code].filter(Boolean).join(" · ") })),
      here && make("span", { className: "chosen" }, icon("check")),
    );
  });
  const add = make("button", { type: "button", role: "menuitem", on: { click: askForPerson } }, icon("add"), "Add a person");
  find("people-menu").replaceChildren(...entries, make("hr"), add);
}

function askForPerson() {
  find("person-name").value = "";
  find("person-dialog").showModal();
  find("person-name").focus();
}

export async function addPerson(event) {
  event.preventDefault();
  const name = find("person-name").value.trim();
  if (!name) return;
  try {
    const person = await post("/people", { first_name: name });
    people.push(person);
    find("person-dialog").close();
    openChat(person);
  } catch (problem) {
    toast(`Nobody was added. ${problemWords(problem)}`);
  }
}

export function openChat(person) {
  if (chat?.person.id === person.id) return;
  if (chat) {
    unfinished.set(chat.person.id, { words: find("text").value, entries: chat.entries.filter((entry) => entry.state !== "sent") });
    chat.stream?.close();
    for (const waiting of chat.taps.values()) clearTimeout(waiting.timer);
  }
  cancelRecording();
  visit(person);
  clearConversation();
  sessionStorage.setItem("person", String(person.id));
  find("person-badge").className = tint(person);
  find("person-badge").textContent = initials(person);
  find("people-button").setAttribute("aria-label", `Writing as ${person.first_name}. Choose another person`);
  find("people-button").title = `Writing as ${person.first_name}`;
  const { words = "", entries = [] } = unfinished.get(person.id) ?? {};
  for (const entry of entries.filter((one) => one.state === "failed")) {
    draw(entry);
    place(entry);
  }
  setText(words);
  closeSuggestions();
  changed();
  connect();
}
