// Asking the service, and saying what it said.

const settings = JSON.parse(document.getElementById("settings").textContent);
const find = (id) => document.getElementById(id);
const results = find("results"), note = find("note");
const AT_ONCE = 3, SHOWN = 3, TRIES = 4, KEY = "frostline-key";
const waiting = [];
let running = 0, count = 0;
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

// ------------------------------------------------------------------ words

function percent(share) {
  if (share > 0.9995) return "over 99.9 %";
  if (share < 0.001) return "under 0.1 %";
  const outer = share < 0.1 || share > 0.9;
  return `${(100 * share).toFixed(outer ? 1 : 0)} %`;
}

function say(text) { find("status").textContent = text; }

function warn(text) { note.textContent = text; note.hidden = !text; }

async function describe() {
  const card = await ask("model");
  const n = card.classes.length, test = card.test ?? {};
  const parts = [`Tells ${n} classes apart, with ${card.backbone}.`];
  if (typeof test.accuracy === "number") {
    const [low, high] = test.accuracy_interval ?? [];
    const plain = (share) => `${(100 * share).toFixed(1)} %`;
    const range = low === undefined ? "" : ` (95 % interval: ${plain(low)} to ${plain(high)})`;
    const before = test.before_quantising ? ", before it was made 8 bits wide" : "";
    parts.push(`Right on ${plain(test.accuracy)} of images that it had not seen${range}${before}.`);
  }
  if (card.rule) {
    const why = { balanced_accuracy: "every class counts alike", macro_f1: "rare classes count", cost: "mistakes differ in cost" };
    parts.push(`The answer need not be the likeliest class: ${why[card.metric] ?? "the model has a rule of its own"}.`);
  }
  find("model").textContent = parts.join(" ");
  find("classes").replaceChildren(...card.classes.map((name) => {
    const item = document.createElement("li");
    item.textContent = name;
    return item;
  }));
  find("more").hidden = false;
}
