// The page's own API; every call carries the key that came with the page's address.

const key = new URLSearchParams(location.search).get("key") ?? "";

export class Refusal extends Error {
  constructor(status, words) {
    super(words);
    this.status = status;
  }
}

export async function call(path, { method = "GET", body, form, seconds = 30 } = {}) {
  const headers = { "X-Page-Key": key };
  if (body) headers["Content-Type"] = "application/json";
  const response = await fetch(`/page${path}`, {
    method,
    headers,
    body: form ?? (body && JSON.stringify(body)),
    signal: AbortSignal.timeout(seconds * 1000),
  });
  const text = await response.text();
  let answer;
  try {
    answer = text ? JSON.parse(text) : {};
  } catch {
    answer = { description: text.slice(0, 200) };
  }
  if (response.ok) return answer;
  throw new Refusal(response.status, answer.description ?? answer.error ?? answer.message ?? response.statusText);
}

export const post = (path, body = {}) => call(path, { method: "POST", body });

export const eventStream = (path, after) => new EventSource(`/page${path}?after=${after}&key=${encodeURIComponent(key)}`);

// Files that this page is still sending are shown from memory, under a file_id that begins with "local:".
const localFiles = new Map();

export function keepLocalFile(file) {
  const fileId = `local:${localFiles.size + 1}`;
  localFiles.set(fileId, { file, address: URL.createObjectURL(file) });
  return fileId;
}

export function fileAddress(fileId) {
  return localFiles.get(fileId)?.address ?? `/page/files/${encodeURIComponent(fileId)}?key=${encodeURIComponent(key)}`;
}

export async function fileBytes(fileId) {
  const local = localFiles.get(fileId);
  return local ? local.file.arrayBuffer() : (await fetch(fileAddress(fileId))).arrayBuffer();
}

export function problemWords(problem) {
  if (problem instanceof Refusal) return problem.message || `The server answered ${problem.status}.`;
  if (problem?.name === "TimeoutError") return "The server took too long to answer.";
  return "The server is away.";
}
