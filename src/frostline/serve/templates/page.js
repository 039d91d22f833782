"use strict";
(() => {
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
      parts.push(`Right on ${plain(test.accuracy)} of images that it had not seen${range}.`);
    }
    find("model").textContent = parts.join(" ");
    find("classes").replaceChildren(...card.classes.map((name) => {
      const item = document.createElement("li");
      item.textContent = name;
      return item;
    }));
    find("more").hidden = false;
  }

  // ------------------------------------------------------------------ one image

  function addCard(file) {
    const card = find("card").content.firstElementChild.cloneNode(true);
    const part = (name) => card.querySelector(`.${name}`);
    part("name").textContent = file.name;
    part("remove").setAttribute("aria-label", `Remove ${file.name}`);
    part("remove").addEventListener("click", () => remove(card));
    part("explain").addEventListener("click", () => toggleHeat(card, file));
    part("legend").querySelector("select").addEventListener("change", () => explain(card, file));
    results.prepend(card);
    find("clear").hidden = false;
    return card;
  }

  function remove(card) {
    if (card.picture) URL.revokeObjectURL(card.picture);
    const next = card.nextElementSibling ?? card.previousElementSibling;
    card.remove();
    if (next) next.querySelector(".remove").focus();
    else { find("clear").hidden = true; find("files").focus(); }
  }

  function show(card, file, result) {
    const part = (name) => card.querySelector(`.${name}`);
    part("label").textContent = result.label;
    const sure = document.createElement("b");
    sure.textContent = percent(result.confidence);
    part("sure").replaceChildren(sure, " confidence");
    part("unknown").hidden = !result.unknown;
    const shares = Object.entries(result.probabilities);
    shares.sort((a, b) => b[1] - a[1]);
    part("bars").replaceChildren(...shares.map(bar));
    foldBars(card, shares.length);
    const select = part("legend").querySelector("select");
    select.replaceChildren(...shares.slice(0, 50).map(([name]) => new Option(name, name)));
    part("explain").hidden = false;
    part("explain").setAttribute("aria-label", `Show why: ${file.name}`);
    // only what the service could read is shown: a bomb would stall the browser as well
    card.picture = URL.createObjectURL(file);
    part("thumb").alt = file.name;
    part("thumb").src = card.picture;
    say(`${file.name}: ${result.label}, ${percent(result.confidence)}.`);
  }

  function bar([name, share], place) {
    const item = document.createElement("li");
    const text = document.createElement("span"), value = document.createElement("span");
    const track = document.createElement("div"), filled = document.createElement("div");
    text.className = "text"; text.textContent = name;
    value.className = "share"; value.textContent = percent(share);
    track.className = "track"; track.setAttribute("aria-hidden", "true");
    filled.className = "bar"; filled.style.width = `${(100 * share).toFixed(2)}%`;
    track.append(filled);
    item.append(text, value, track);
    item.hidden = place >= SHOWN;
    return item;
  }

  function foldBars(card, n) {
    const button = card.querySelector(".all");
    button.hidden = n <= SHOWN;
    const label = (open) => { button.textContent = open ? "Show fewer" : `Show all ${n}`; };
    label(false);
    button.addEventListener("click", () => {
      const open = button.getAttribute("aria-expanded") !== "true";
      button.setAttribute("aria-expanded", String(open));
      label(open);
      card.querySelectorAll(".bars li").forEach((li, i) => { li.hidden = !open && i >= SHOWN; });
    });
  }

  function fail(card, file, problem) {
    card.classList.add("failed");
    card.querySelector(".label").textContent = "No answer";
    const expected = problem.expected ? ` Expected: ${problem.expected}.` : "";
    card.querySelector(".sure").textContent = `${file.name}: ${problem.what}.${expected}`;
    card.querySelector(".name").hidden = card.querySelector(".picture").hidden = true;
    say(`${file.name}: no answer, ${problem.what}.`);
  }

  async function classify(card, file) {
    if (file.size > settings.max_bytes) {
      const mb = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
      fail(card, file, { what: `it has ${mb(file.size)}`,
        expected: `at most ${mb(settings.max_bytes)}` });
      return;
    }
    try {
      const { results: [result] } = await ask("predict", form(file));
      if (result.error) fail(card, file, result.error);
      else show(card, file, result);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      fail(card, file, error.problem);
    }
  }

  // ------------------------------------------------------------------ the heat map

  function toggleHeat(card, file) {
    const button = card.querySelector(".explain");
    if (button.getAttribute("aria-pressed") === "true") {
      button.setAttribute("aria-pressed", "false");
      card.classList.remove("explained");
      card.querySelector(".heat").hidden = card.querySelector(".legend").hidden = true;
      card.querySelector(".thumb").src = card.picture;
    } else {
      explain(card, file);
    }
  }

  async function explain(card, file) {
    const part = (name) => card.querySelector(`.${name}`);
    const button = part("explain"), label = part("legend").querySelector("select").value;
    button.disabled = true;
    button.textContent = "Looking …";
    say(`Looking where ${label} is in ${file.name}.`);
    try {
      const found = await ask("explain", form(file, { label }));
      part("thumb").src = found.image;
      part("heat").src = found.overlay;
      part("heat").alt = `Heat map for ${found.label}`;
      part("heat").hidden = part("legend").hidden = false;
      const clear = found.strongest < 0.1;
      part("strongest").textContent = clear ? "No single place matters much."
        : `Blurring the strongest place changes the odds ${Math.exp(found.strongest).toPrecision(2)} times.`;
      card.classList.add("explained");
      button.setAttribute("aria-pressed", "true");
      say(`The heat map for ${found.label} is shown.`);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      warn(`No heat map for ${file.name}: ${error.problem.what}.`);
    } finally {
      button.disabled = false;
      button.textContent = "Show why";
    }
  }

  // ------------------------------------------------------------------ many images

  function accept(files) {
    warn("");
    let list = [...files];
    if (!list.length) return;
    if (list.length > settings.max_files) {
      warn(`${list.length.toLocaleString()} files came; the first ${settings.max_files} are ` +
        "looked at. For whole folders there is “frostline predict”.");
      list = list.slice(0, settings.max_files);
    }
    for (const file of list) {
      const named = file.name ? file : new File([file], `image ${++count}`, { type: file.type });
      waiting.push([addCard(named), named]);
    }
    work();
  }

  async function work() {
    while (running < AT_ONCE && waiting.length) {
      const [card, file] = waiting.shift();
      if (!card.isConnected) continue;
      running++;
      classify(card, file).finally(() => { running--; work(); });
    }
  }

  // ------------------------------------------------------------------ where images come from

  find("files").addEventListener("change", (event) => {
    accept(event.target.files);
    event.target.value = "";
  });
  find("capture").addEventListener("change", (event) => {
    accept(event.target.files);
    event.target.value = "";
  });
  find("drop").addEventListener("submit", (event) => event.preventDefault());
  find("clear").addEventListener("click", () => {
    waiting.length = 0;
    [...results.children].forEach(remove);
  });
  document.addEventListener("paste", (event) => accept(event.clipboardData.files));
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("over");
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.());
    const folders = entries.filter((entry) => entry?.isDirectory).length;
    accept([...event.dataTransfer.files].filter((_, i) => !entries[i]?.isDirectory));
    if (folders) warn("A folder was dropped: drop the images in it instead.");
  });

  // ------------------------------------------------------------------ the camera

  const shot = find("shot"), video = find("video");

  async function openCamera() {
    if (!navigator.mediaDevices?.getUserMedia) { find("capture").click(); return; }
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia(
        { video: { facingMode: { ideal: "environment" }, width: { ideal: 1280 } } });
    } catch {
      // no camera, or not allowed: let the device offer what it has
      find("capture").click();
      return;
    }
    shot.showModal();
    await video.play();
  }

  function takePhoto() {
    const canvas = document.createElement("canvas");
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    canvas.getContext("2d").drawImage(video, 0, 0);
    shot.close();
    canvas.toBlob((blob) => {
      if (blob) accept([new File([blob], `photo ${++count}.jpg`, { type: blob.type })]);
    }, "image/jpeg", 0.92);
  }

  find("camera").addEventListener("click", openCamera);
  find("take").addEventListener("click", takePhoto);
  find("close").addEventListener("click", () => shot.close());
  shot.addEventListener("close", () => {
    video.srcObject?.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
  });

  // ------------------------------------------------------------------ the key

  function wrongKey() {
    sessionStorage.removeItem(KEY);
    find("key-form").hidden = false;
    find("key-note").textContent = "This key was not accepted.";
    find("key").focus();
  }

  function start() { describe().catch((error) => warn(`The model: ${error.message}.`)); }

  if (settings.asks_for_key) {
    find("key-form").addEventListener("submit", (event) => {
      event.preventDefault();
      sessionStorage.setItem(KEY, find("key").value);
      find("key").value = "";
      find("key-form").hidden = true;
      find("key-note").textContent = "";
      warn("");
      start();
    });
    find("key-form").hidden = Boolean(sessionStorage.getItem(KEY));
    if (sessionStorage.getItem(KEY)) start();
  } else {
    start();
  }
})();
