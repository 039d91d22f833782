// Asking the service.

const settings = JSON.parse(document.getElementById("settings").textContent);
const find = (id) => document.getElementById(id);
const note = find("note");
const TRIES = 4, KEY = "frostline-key";
document.documentElement.classList.add("js");

// ------------------------------------------------------------------ the service

class Refused extends Error {
  constructor(problem) { super(problem.what); this.problem = problem; }
}

async function ask(path, options = {}) {
  const headers = {};
  const key = settings.asks_for_key && sessionStorage.getItem(KEY);
  if (key) headers["X-API-Key"] = key;
  for (let tried = 1; ; tried++) {
    let response;
    try {
      response = await fetch(path, { ...options, headers });
    } catch {
      throw new Refused({ kind: "unreachable", what: "the service did not answer",
        expected: "a running service and a connection to it" });
    }
    if (response.ok) return response.json();
    const wait = Number(response.headers.get("Retry-After"));
    if (response.status === 503 && wait && tried < TRIES) {
      await new Promise((done) => setTimeout(done, wait * 1000));
      continue;
    }
    let problem = { kind: "failed", what: `the service answered ${response.status}`, expected: "" };
    try { problem = (await response.json()).error ?? problem; } catch { /* no JSON: keep ours */ }
    if (response.status === 401) wrongKey();
    throw new Refused(problem);
  }
}

function form(file, texts = {}) {
  const body = new FormData();
  body.append("files", file, file.name);
  for (const [name, text] of Object.entries(texts)) body.append(name, text);
  return { method: "POST", body };
}
