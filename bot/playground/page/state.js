// What the page knows: the bot, the people, and the visit to one person's chat. Other parts read these bindings live.

export let bot = { first_name: "VIVA", username: "", description: "", commands: [], model: "" };
export let people = [];
export let chat = null;

// One word for every change that the foot of the page may have to follow.
const changes = new EventTarget();
export const changed = () => changes.dispatchEvent(new Event("change"));
export const onChange = (listener) => changes.addEventListener("change", listener);

export function setBot(described) {
  bot = { ...bot, ...described };
}

export function setPeople(everybody) {
  people = everybody;
}

// Coming back to a person later is another visit, so whatever answers late finds nobody here.
export function visit(person) {
  chat = {
    person,
    last: 0,
    loaded: false,
    blocked: false,
    stream: null,
    attempt: 0,
    sending: Promise.resolve(),
    ...emptyConversation(),
  };
}

export const emptyConversation = () => ({
  entries: [],
  entryOf: new Map(),
  albums: new Map(),
  taps: new Map(),
  earlyAnswers: new Map(),
  draft: null,
  replyTo: null,
});

export const chatPath = (rest) => `/chats/${chat.person.id}/${rest}`;
