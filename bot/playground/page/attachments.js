// Files: chosen, pasted or dropped, looked at once more, then sent as one kind of message or another.

import { sendSample } from "./recording.js";
import { sendFile, sendFiles } from "./sending.js";
import { chat } from "./state.js";
import { fileSize, find, icon, make } from "./tools.js";

// What a file may be sent as, the likeliest first.
const KIND_LABELS = { photo: "Photo", document: "File", voice: "Voice note", audio: "Audio", video: "Video", video_note: "Video note", sticker: "Sticker" };

function kindsFor(files, asFile) {
  const all = (prefix) => files.every((file) => file.type.startsWith(prefix));
  let kinds = ["document"];
  if (all("image/")) kinds = files.every((file) => file.type === "image/webp") ? ["photo", "document", "sticker"] : ["photo", "document"];
  if (all("audio/")) kinds = ["voice", "audio", "document"];
  if (all("video/")) kinds = ["video", "video_note", "document"];
  return asFile && kinds.length > 1 ? ["document", ...kinds.filter((kind) => kind !== "document")] : kinds;
}

const MOST_IN_ALBUM = 10;
const IN_ALBUMS = ["photo", "video"];

let offered = [];

function offerFiles(files, { asFile = false } = {}) {
  offered = files;
  if (!offered.length) return;
  const kinds = kindsFor(offered, asFile);
  const noun = kinds.includes("photo") ? "picture" : "file";
  find("send-title").textContent = offered.length > 1 ? `Send ${offered.length} ${noun}s` : `Send a ${noun}`;
  find("send-preview").replaceChildren(...offered.map(previewOf));
  find("send-kinds").hidden = kinds.length < 2;
  find("send-kinds").replaceChildren(
    make("legend", { text: "Send as" }),
    ...kinds.map((kind, index) =>
      make("label", {}, make("input", { type: "radio", name: "kind", value: kind, checked: index === 0 }), KIND_LABELS[kind]),
    ),
  );
  find("send-caption").value = "";
  find("send-dialog").showModal();
  find("send-caption").focus();
}

function previewOf(file) {
  if (file.type.startsWith("image/")) return make("img", { src: URL.createObjectURL(file), alt: file.name });
  return make(
    "div",
    { className: "file-card" },
    make("span", { className: "card-icon" }, icon(file.type.startsWith("audio/") ? "wave" : "file")),
    make("strong", { text: file.name }),
    make("small", { text: fileSize(file.size) }),
  );
}

async function sendOffered() {
  const kind = find("send-form").querySelector("input[name=kind]:checked")?.value ?? "document";
  const caption = find("send-caption").value.trim();
  const files = offered;
  closeOffer();
  const most = IN_ALBUMS.includes(kind) ? MOST_IN_ALBUM : 1;
  for (let first = 0; first < files.length; first += most) {
    const together = files.slice(first, first + most);
    const timed = ["voice", "audio", "video", "video_note"].includes(kind);
    const durations = timed ? await Promise.all(together.map(mediaLength)) : [];
    await sendFiles(together, kind, { caption: first === 0 ? caption : "", durations });
  }
}

function closeOffer() {
  for (const image of find("send-preview").querySelectorAll("img")) URL.revokeObjectURL(image.src);
  find("send-preview").replaceChildren();
  offered = [];
  find("send-dialog").close();
}

function mediaLength(file) {
  const probe = new Audio();
  const address = URL.createObjectURL(file);
  return new Promise((resolve) => {
    const done = (value) => {
      URL.revokeObjectURL(address);
      resolve(Number.isFinite(value) && value > 0 ? value : undefined);
    };
    probe.addEventListener("loadedmetadata", () => done(probe.duration));
    probe.addEventListener("error", () => done(undefined));
    setTimeout(() => done(undefined), 2000);
    probe.src = address;
  });
}

export function setUpAttachments() {
  find("attach-photo").addEventListener("click", () => find("photo-input").click());
  find("attach-file").addEventListener("click", () => find("file-input").click());
  find("attach-voice").addEventListener("click", () => find("voice-input").click());
  find("attach-sample").addEventListener("click", sendSample);
  const chosen = (input, use) =>
    input.addEventListener("change", () => {
      const files = [...input.files];
      input.value = "";
      if (files.length) use(files);
    });
  chosen(find("photo-input"), (files) => offerFiles(files));
  chosen(find("file-input"), (files) => offerFiles(files, { asFile: true }));
  chosen(find("voice-input"), async ([file]) => sendFile(file, "voice", { duration: await mediaLength(file) }));
  find("send-form").addEventListener("submit", (event) => {
    event.preventDefault();
    sendOffered();
  });
  find("send-cancel").addEventListener("click", closeOffer);
  setUpPasteAndDrop();
}

function setUpPasteAndDrop() {
  find("text").addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    offerFiles(files);
  });
  let depth = 0;
  const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const showDrop = (value) => {
    depth = Math.max(0, value);
    find("drop-here").hidden = depth === 0;
  };
  addEventListener("dragenter", (event) => carriesFiles(event) && showDrop(depth + 1));
  addEventListener("dragleave", (event) => carriesFiles(event) && showDrop(depth - 1));
  addEventListener("dragover", (event) => carriesFiles(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    showDrop(0);
    if (!chat.blocked) offerFiles([...event.dataTransfer.files]);
  });
}
