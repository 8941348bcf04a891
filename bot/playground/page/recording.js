// Voice notes: from the microphone, or a sample for machines that have none.

import { sendFile } from "./sending.js";
import { changed, chat } from "./state.js";
import { find, hovers, minutes, toast } from "./tools.js";

const RECORDING_KINDS = ["audio/ogg;codecs=opus", "audio/webm;codecs=opus", "audio/mp4;codecs=opus", "audio/mp4", "audio/webm"];
const VOICE_BITS = 32_000; // the browsers' own 100 kbit/s is more than speech needs
const SHORTEST = 700; // milliseconds; a slip of the finger is not a message
export let recorder = null;

function whyNoMicrophone() {
  if (!window.isSecureContext || !navigator.mediaDevices?.getUserMedia) {
    return "Browsers lend the microphone only to pages opened at 127.0.0.1, localhost or over https. This page was opened another way.";
  }
  if (!window.MediaRecorder) return "This browser cannot record sound.";
  return null;
}

function microphoneProblem(problem) {
  switch (problem.name) {
    case "NotFoundError":
    case "OverconstrainedError":
      return "No microphone was found on this machine.";
    case "NotAllowedError":
    case "SecurityError":
      return "The browser was not allowed to use the microphone. You can allow it in the address bar and try again.";
    case "NotReadableError":
    case "AbortError":
      return "Another program holds the microphone.";
    default:
      return "The microphone did not start.";
  }
}

function offerOtherVoice(reason) {
  find("voice-reason").textContent = reason;
  find("voice-dialog").showModal();
}

async function startRecording() {
  if (recorder) return;
  const reason = whyNoMicrophone();
  if (reason) return offerOtherVoice(reason);
  let stream;
  find("microphone-button").disabled = true;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true } });
  } catch (problem) {
    return offerOtherVoice(microphoneProblem(problem));
  } finally {
    find("microphone-button").disabled = false;
  }
  const mimeType = RECORDING_KINDS.find((kind) => MediaRecorder.isTypeSupported(kind));
  const machine = new MediaRecorder(stream, { ...(mimeType && { mimeType }), audioBitsPerSecond: VOICE_BITS });
  const chunks = [];
  machine.addEventListener("dataavailable", ({ data }) => data.size && chunks.push(data));
  machine.start(1000);
  recorder = { machine, stream, chunks, began: performance.now(), timer: setInterval(showRecording, 100), meter: loudnessOf(stream) };
  showRecording();
  changed();
  find("recorder-send").focus();
}

function loudnessOf(stream) {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 512;
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  return {
    read() {
      analyser.getFloatTimeDomainData(samples);
      return Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
    },
    close: () => context.close(),
  };
}

function showRecording() {
  if (!recorder) return;
  find("recorder-time").textContent = minutes(Math.floor((performance.now() - recorder.began) / 1000));
  find("recorder-level").style.setProperty("--level", `${Math.min(100, recorder.meter.read() * 320)}%`);
}

function stopRecording() {
  const { machine, stream, timer, meter, began, chunks } = recorder;
  const elapsed = performance.now() - began;
  clearInterval(timer);
  recorder = null;
  changed();
  if (hovers()) find("text").focus();
  return new Promise((resolve) => {
    const finish = () => {
      for (const track of stream.getTracks()) track.stop();
      meter.close();
      resolve({ elapsed, sound: new Blob(chunks, { type: machine.mimeType.split(";")[0] }) });
    };
    machine.addEventListener("stop", finish, { once: true });
    if (machine.state === "inactive") finish();
    else machine.stop();
  });
}

async function sendRecording() {
  if (!recorder) return;
  const here = chat;
  const { elapsed, sound } = await stopRecording();
  if (chat !== here) return;
  if (elapsed < SHORTEST || !sound.size) return toast("That was too short to send.");
  const ending = { "audio/ogg": "ogg", "audio/mp4": "m4a" }[sound.type] ?? "webm";
  await sendFile(sound, "voice", { duration: Math.max(1, elapsed / 1000), name: `voice.${ending}` });
}

export async function cancelRecording() {
  if (recorder) await stopRecording();
}

// Three seconds of two soft tones, for machines with neither microphone nor recordings.
function sampleVoice() {
  const [rate, seconds] = [16_000, 3];
  const count = rate * seconds;
  const view = new DataView(new ArrayBuffer(44 + count * 2));
  const write = (at, letters) => [...letters].forEach((letter, index) => view.setUint8(at + index, letter.charCodeAt(0)));
  write(0, "RIFF");
  view.setUint32(4, 36 + count * 2, true);
  write(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, rate * 2, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  write(36, "data");
  view.setUint32(40, count * 2, true);
  for (let index = 0; index < count; index += 1) {
    const at = index / rate;
    const swell = Math.sin((Math.PI * at) / seconds) * (0.55 + 0.45 * Math.sin(2 * Math.PI * 1.6 * at));
    const tone = Math.sin(2 * Math.PI * 220 * at) + 0.6 * Math.sin(2 * Math.PI * 330 * at);
    view.setInt16(44 + index * 2, Math.round(tone * swell * 9000), true);
  }
  return new File([view.buffer], "sample.wav", { type: "audio/wav" });
}

export const sendSample = () => sendFile(sampleVoice(), "voice", { duration: 3 });

export function setUpRecording() {
  find("microphone-button").addEventListener("click", startRecording);
  find("recorder-send").addEventListener("click", sendRecording);
  find("recorder-cancel").addEventListener("click", cancelRecording);
  find("recorder").addEventListener("keydown", (event) => event.key === "Escape" && cancelRecording());
  find("voice-dialog").addEventListener("close", () => {
    const choice = find("voice-dialog").returnValue;
    find("voice-dialog").returnValue = "";
    if (choice === "upload") find("voice-input").click();
    if (choice === "sample") sendSample();
  });
}
