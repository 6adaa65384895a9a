// Asks hexa: one answer, or a stream of server-sent events that is begun again whenever it ends. The token, where there is one,
// stays in this tab and goes in a header, which EventSource can't send.

const KEPT = "hexa-token";
const SILENT = 60_000; // hexa says at least a comment every few seconds
const LONGEST_WAIT = 30_000;
const HIDDEN = 120_000; // nobody looks: the stream is let go after this, and begun again when somebody does

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export const token = () => sessionStorage.getItem(KEPT) || "";
export const keep = (text) => sessionStorage.setItem(KEPT, text);
export const forget = () => sessionStorage.removeItem(KEPT);

const headers = (accept) => (token() ? {accept, authorization: `Bearer ${token()}`} : {accept});

const open = async (path, accept, signal) => {
  const answer = await fetch(path, {headers: headers(accept), signal, cache: "no-store", credentials: "same-origin"});
  if (answer.ok) return answer;
  throw new Refused(answer.status, await words(answer));
};

const words = async (answer) => {
  const text = (await answer.text()).slice(0, 2000);
  try {
    const told = JSON.parse(text);
    return String(told.message || told.error || text);
  } catch {
    return text;
  }
};

export const ask = async (path) => (await open(path, "application/json")).json();

/** Splits what arrives into events: {event, data}. Comments keep the connection alive and are no events. */
export const splitter = (take) => {
  let rest = "", kind = "", data = [];
  const line = (text) => {
    if (text === "") {
      if (data.length) take({event: kind || "message", data: data.join("\n")});
      kind = "";
      data = [];
      return;
    }
    const colon = text.indexOf(":");
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? "" : text.slice(colon + 1).replace(/^ /, "");
    if (field === "event") kind = value;
    if (field === "data") data.push(value);
  };
  return (text) => {
    const lines = (rest + text).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    lines.forEach(line);
  };
};

const once = async (path, take, stop) => {
  let silence;
  const heard = () => {
    clearTimeout(silence);
    silence = setTimeout(() => stop.abort(), SILENT);
  };
  try {
    heard();
    const answer = await open(path, "text/event-stream", stop.signal);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    const split = splitter(take);
    for (;;) {
      const {value, done} = await reader.read();
      if (done) return;
      heard();
      split(value);
    }
  } finally {
    clearTimeout(silence);
  }
};

const pause = (wait) => new Promise((go) => setTimeout(go, wait * (0.75 + Math.random() / 2)));

const seen = () =>
  new Promise((go) => {
    if (!document.hidden) {
      go();
      return;
    }
    const look = () => {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", look);
      go();
    };
    document.addEventListener("visibilitychange", look);
  });

/** Follow the stream for ever. `take(event)` for each event, `lost(error)` when it ends; what is refused for want of a token
 *  goes on when `lost` answers with a promise that is kept. */
export const follow = async (path, take, lost) => {
  let wait = 1000;
  for (;;) {
    await seen();
    const stop = new AbortController();
    let letGo;
    const hide = () => {
      clearTimeout(letGo);
      if (document.hidden) letGo = setTimeout(() => stop.abort(), HIDDEN);
    };
    document.addEventListener("visibilitychange", hide);
    let error = null, fed = false;
    try {
      await once(path, (event) => {
        fed = true;
        wait = 1000;
        take(event);
      }, stop);
    } catch (problem) {
      error = problem;
    } finally {
      document.removeEventListener("visibilitychange", hide);
      clearTimeout(letGo);
      stop.abort();
    }
    if (!error && fed) { // hexa ends a stream after some minutes, to judge the token anew
      await pause(1000);
      continue;
    }
    const again = lost(error);
    if (again) {
      await again;
      wait = 1000;
      continue;
    }
    if (document.hidden) continue;
    await pause(wait);
    wait = Math.min(2 * wait, LONGEST_WAIT);
  }
};
