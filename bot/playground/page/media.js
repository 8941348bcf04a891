// Pictures, recordings, files and whatever else a message can carry besides words.

import { fileAddress, fileBytes } from "./server.js";
import { bot } from "./state.js";
import { fileSize, find, icon, make, minutes } from "./tools.js";

function picture(message) {
  const largest = message.photo.at(-1);
  const image = make("img", {
    src: fileAddress(largest.file_id),
    width: largest.width,
    height: largest.height,
    alt: message.caption || "Picture without a caption",
    decoding: "async",
  });
  const button = make("button", { className: "picture", type: "button" }, image);
  button.classList.toggle("veiled", Boolean(message.has_media_spoiler));
  button.addEventListener("click", () => {
    if (button.classList.contains("veiled")) button.classList.remove("veiled");
    else showPicture(image.src, message.caption ?? "");
  });
  return button;
}

// A bubble is as wide as its picture, so that the words below it keep to the same measure.
export function pictureWidth(messages) {
  if (messages.length > 1) return 416;
  const { width, height } = messages[0].photo.at(-1);
  return Math.max(220, Math.round(width * Math.min(1, 416 / width, 448 / height)));
}

function showPicture(address, caption) {
  find("picture-image").src = address;
  find("picture-image").alt = caption || "Picture";
  find("picture-caption").textContent = caption;
  find("picture-dialog").showModal();
}

export function setUpPictures() {
  find("picture-dialog").addEventListener("click", (event) => {
    if (event.target.tagName !== "FIGCAPTION") find("picture-dialog").close();
  });
}

let playing = null;

export function silence() {
  playing?.pause();
}

const waveWatcher = new IntersectionObserver((changes) => {
  for (const change of changes) {
    if (!change.isIntersecting) continue;
    waveWatcher.unobserve(change.target);
    change.target.dispatchEvent(new CustomEvent("seen"));
  }
});

function player({ file, title, noun }) {
  const count = 40;
  const bars = make("div", { className: "player-bars" }, ...Array.from({ length: count }, () => make("i")));
  const length = file.duration ?? 0;
  const seek = make("input", { type: "range", min: 0, max: Math.max(length, 0.1), step: 0.1, "aria-label": `Position in the ${noun}` });
  seek.value = "0";
  const time = make("span", { className: "player-time", text: minutes(length) });
  const button = make("button", { className: "round filled", type: "button", "aria-label": `Play the ${noun}` }, icon("play"));
  const track = make("div", { className: "player-track" }, bars, seek);
  const node = make("div", { className: "player" }, button);
  if (title) node.append(make("span", { className: "player-title", text: title }));
  node.append(track, time);

  const audio = new Audio();
  audio.preload = "none";
  audio.src = fileAddress(file.file_id);
  const total = () => (Number.isFinite(audio.duration) && audio.duration > 0 ? audio.duration : length);
  const show = () => {
    const share = total() ? audio.currentTime / total() : 0;
    [...bars.children].forEach((bar, index) => bar.classList.toggle("played", share > 0 && index / count <= share));
    seek.value = String(audio.currentTime);
    seek.setAttribute("aria-valuetext", `${minutes(audio.currentTime)} of ${minutes(total())}`);
    time.textContent = audio.currentTime > 0 ? `${minutes(audio.currentTime)} / ${minutes(total())}` : minutes(total());
  };
  const showButton = () => {
    button.replaceChildren(icon(audio.paused ? "play" : "pause"));
    button.setAttribute("aria-label", `${audio.paused ? "Play" : "Pause"} the ${noun}`);
  };
  let frame;
  const follow = () => {
    show();
    frame = requestAnimationFrame(follow);
  };
  button.addEventListener("click", () => {
    if (!audio.paused) return audio.pause();
    if (playing !== audio) silence();
    playing = audio;
    audio.play().catch(() => {});
  });
  seek.addEventListener("input", () => {
    audio.currentTime = Number(seek.value);
    show();
  });
  audio.addEventListener("loadedmetadata", () => {
    seek.max = String(total());
    show();
  });
  audio.addEventListener("play", () => {
    showButton();
    follow();
  });
  audio.addEventListener("pause", () => {
    showButton();
    cancelAnimationFrame(frame);
    show();
  });
  audio.addEventListener("ended", () => {
    audio.currentTime = 0;
    show();
  });
  audio.addEventListener("error", () => {
    if (node.querySelector(".player-problem")) return;
    node.append(make("span", { className: "player-problem", text: "This browser cannot play the recording." }));
  });
  node.addEventListener("seen", () => drawWave(file, bars.children));
  waveWatcher.observe(node);
  return node;
}

// The bars are the recording's own loudness; where it cannot be read they stay an even line.
async function drawWave(file, bars) {
  if (file.file_size > 4_000_000 || !window.OfflineAudioContext) return;
  try {
    const bytes = await fileBytes(file.file_id);
    const samples = (await new OfflineAudioContext(1, 1, 16_000).decodeAudioData(bytes)).getChannelData(0);
    const stride = Math.max(1, Math.floor(samples.length / bars.length));
    const loudness = Array.from(bars, (_, index) => {
      let sum = 0;
      for (let at = index * stride; at < Math.min((index + 1) * stride, samples.length); at += 1) sum += samples[at] ** 2;
      return Math.sqrt(sum / stride);
    });
    const loudest = Math.max(...loudness, 0.001);
    loudness.forEach((value, index) => bars[index].style.setProperty("height", `${12 + 88 * (value / loudest)}%`));
  } catch {
    // An unreadable recording still has its play button, which says so when it is pressed.
  }
}

function fileCard(document_) {
  return make(
    "a",
    {
      className: "file-card",
      href: fileAddress(document_.file_id),
      download: document_.file_name ?? "file",
      "aria-label": `Download ${document_.file_name ?? "the file"}`,
    },
    make("span", { className: "card-icon" }, icon("file")),
    make("strong", { text: document_.file_name ?? "File" }),
    make("small", { text: fileSize(document_.file_size) }),
  );
}

export function plainCard(iconName, title, detail = "") {
  return make(
    "div",
    { className: "plain-card" },
    make("span", { className: "card-icon" }, icon(iconName)),
    make("strong", { text: title }),
    make("small", { text: detail }),
  );
}

function film(file, { circle = false, silent = false } = {}) {
  const attributes = silent ? { muted: true, loop: true } : {};
  return make("video", {
    className: circle ? "film circle" : "film",
    src: fileAddress(file.file_id),
    controls: true,
    playsinline: true,
    preload: "metadata",
    "aria-label": circle ? "Video note" : "Video",
    ...attributes,
  });
}

function sticker(message) {
  const { file_id: fileId, emoji = "", is_animated: animated, is_video: video } = message.sticker;
  if (animated || video) return plainCard("picture", `Sticker ${emoji}`, "This page does not move stickers.");
  const image = make("img", { src: fileAddress(fileId), alt: `Sticker ${emoji}` });
  const node = make("div", { className: "sticker" }, image);
  image.addEventListener("error", () => node.replaceChildren(plainCard("picture", `Sticker ${emoji}`)), { once: true });
  return node;
}

function pollCard({ question, options = [] }) {
  return plainCard("poll", question, options.map((option) => `· ${option.text}`).join("\n"));
}

function invoiceCard({ title, description, currency, total_amount: amount }) {
  const price = currency === "XTR" ? `${amount} Stars` : `${(amount / 100).toFixed(2)} ${currency}`;
  return plainCard("file", `${title} · ${price}`, description);
}

// Each kind of message: how it is drawn and what it is called where there is no room to draw it.
export const KINDS = {
  photo: { name: "Picture", draw: picture, file: (message) => message.photo.at(-1) },
  voice: { name: "Voice note", draw: (message) => player({ file: message.voice, noun: "voice note" }), file: (message) => message.voice },
  audio: {
    name: "Audio",
    draw: ({ audio }) =>
      player({ file: audio, noun: "recording", title: [audio.performer, audio.title].filter(Boolean).join(" · ") || audio.file_name || "Audio" }),
    file: (message) => message.audio,
  },
  animation: { name: "GIF", draw: (message) => film(message.animation, { silent: true }), file: (message) => message.animation },
  video_note: { name: "Video note", draw: (message) => film(message.video_note, { circle: true }), file: (message) => message.video_note },
  video: { name: "Video", draw: (message) => film(message.video), file: (message) => message.video },
  document: { name: "File", draw: (message) => fileCard(message.document), file: (message) => message.document },
  sticker: { name: "Sticker", draw: sticker, file: (message) => message.sticker },
  poll: { name: "Poll", draw: (message) => pollCard(message.poll) },
  venue: { name: "Place", draw: ({ venue }) => plainCard("place", venue.title, venue.address) },
  location: {
    name: "Location",
    draw: ({ location: { latitude, longitude } }) => plainCard("place", "Location", `${latitude.toFixed(4)}, ${longitude.toFixed(4)}`),
  },
  contact: { name: "Contact", draw: ({ contact }) => plainCard("person", contact.first_name, contact.phone_number) },
  dice: { name: "Dice", draw: ({ dice }) => plainCard("add", `${dice.emoji} ${dice.value}`) },
  invoice: { name: "Invoice", draw: (message) => invoiceCard(message.invoice) },
};

export const kindOf = (message) => Object.keys(KINDS).find((kind) => message[kind]);

export function serviceWords(message) {
  if (message.pinned_message) return `${message.from?.is_bot ? bot.first_name : "You"} pinned a message`;
  if (message.successful_payment) return `Paid: ${message.successful_payment.total_amount} test Stars`;
  if (message.refunded_payment) return `Paid back: ${message.refunded_payment.total_amount} test Stars`;
  return null;
}

export function inWords(message) {
  const kind = kindOf(message);
  const words = message.text ?? message.caption ?? "";
  if (!kind) return words || serviceWords(message) || "Message";
  return words ? `${KINDS[kind].name}. ${words}` : KINDS[kind].name;
}
