// Speaking to the studio: JSON over HTTP, and WebSockets that come back by themselves.

/** An error whose message is a sentence for people. */
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Asks for JSON; `body` makes it a POST. Throws Refused with the studio's sentence. */
export async function ask(path, options = {}) {
  const answer = await answered(path, options);
  return answer.status === 204 ? null : answer.json().catch(() => null);
}

/** Asks for a file, such as a picture, as a Blob. */
export const file = async (path, options = {}) => (await answered(path, options)).blob();

async function answered(path, { method, body, raw, headers = {}, signal } = {}) {
  let answer;
  try {
    answer = await patiently(path, {
      method: method ?? (body !== undefined || raw ? "POST" : "GET"),
      headers: body !== undefined ? { "content-type": "application/json", ...headers } : headers,
      body: raw ?? (body === undefined ? undefined : JSON.stringify(body)),
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The studio does not answer. Is `gansmith studio` still running?", 0);
  }
  if (answer.ok) return answer;
  const value = await answer.json().catch(() => null);
  if (answer.status === 401) throw new Refused("The studio was restarted: open the address that it printed.", 401);
  const said = value?.error ?? "Something went wrong.";
  throw new Refused(said.charAt(0).toUpperCase() + said.slice(1), answer.status);
}

/** Fetches, and tries again a few times where the studio is busy. */
async function patiently(path, options) {
  for (let wait = 150; ; wait *= 2) {
    const answer = await fetch(path, options);
    if (answer.status !== 503 || wait > 3000) return answer;
    await new Promise((next) => setTimeout(next, wait * (0.7 + 0.6 * Math.random())));
  }
}

/**
 * Listens to a WebSocket, and opens it again when it breaks. Each message goes to `heard`; `lost(true, why)` and
 * `lost(false)` say when the line is broken and when it is back. Ends with the signal.
 */
export function listen(path, { heard, lost = () => {}, signal }) {
  let socket = null;
  let wait = 250;
  let timer = 0;
  const open = () => {
    socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}${path}`);
    socket.onopen = () => { wait = 250; lost(false); };
    socket.onmessage = (event) => heard(JSON.parse(event.data));
    socket.onclose = (event) => {
      if (signal.aborted) return;
      if (event.code === 4404) return; // what it speaks of is gone for good
      lost(true);
      ask("/api/about", { signal }).catch((error) => { if (error.status === 401) lost(true, error.message); });
      timer = setTimeout(open, wait);
      wait = Math.min(wait * 2, 4000);
    };
  };
  signal.addEventListener("abort", () => { clearTimeout(timer); socket?.close(); });
  open();
}

/** A function that asks for one thing at a time: while an answer is out, only the newest wish is kept. */
export function newest(work) {
  let running = false;
  let next = null;
  return async function wish(...given) {
    next = given;
    if (running) return;
    running = true;
    try {
      while (next) {
        const mine = next;
        next = null;
        await work(...mine);
      }
    } finally {
      running = false;
    }
  };
}
