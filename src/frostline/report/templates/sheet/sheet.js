"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const images = data.images;
  // so many classes have a key of their own; of more, the likeliest of each image do
  const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "0"];
  const LIKELIEST = 5;
  const NONE = "";
  const kept = `frostline:${data.id}`;
  let state = { answers: {}, skipped: {}, added: [], undo: [], at: 0 };

  const load = () => {
    try {
      const found = JSON.parse(localStorage.getItem(kept));
      if (found && found.answers && Array.isArray(found.undo)) state = { ...state, ...found };
    } catch { /* no storage here, or not ours: begin anew */ }
    if (!(state.at >= 0 && state.at < images.length)) state.at = 0;
  };
  let storing = true;
  const store = () => {
    try {
      localStorage.setItem(kept, JSON.stringify(state));
    } catch {
      storing = false;
    }
  };

  const classes = () => [...data.classes, ...state.added];
  const answered = (i) => Object.hasOwn(state.answers, images[i].digest);
  const answerOf = (i) => state.answers[images[i].digest];
  const skipped = (i) => Object.hasOwn(state.skipped, images[i].digest);
  const said = (text) => { $("said").textContent = text; };
  const named = (label) => (label === NONE ? "none of these" : label);
  const percent = (value) => `${Math.round(100 * value)} %`;

  const remember = (i) => {
    const digest = images[i].digest;
    state.undo.push({
      at: i, digest, had: Object.hasOwn(state.answers, digest), answer: state.answers[digest],
      skip: Object.hasOwn(state.skipped, digest), added: state.added.length,
    });
    if (state.undo.length > 1000) state.undo.shift();
  };

  const next = () => {
    for (let step = 1; step <= images.length; step += 1) {
      const i = (state.at + step) % images.length;
      if (!answered(i) && !skipped(i)) return i;
    }
    return -1;
  };
  const goOn = (done) => {
    const i = next();
    if (i >= 0) state.at = i;
    store();
    show();
    said(i >= 0 ? done : `${done} That was the last one: save the answers.`);
  };

  const answer = (label) => {
    const i = state.at;
    remember(i);
    delete state.skipped[images[i].digest];
    state.answers[images[i].digest] = label;
    goOn(`Image ${i + 1}: ${named(label)}.`);
  };
  const skip = () => {
    const i = state.at;
    remember(i);
    delete state.answers[images[i].digest];
    state.skipped[images[i].digest] = true;
    goOn(`Image ${i + 1}: skipped.`);
  };
  const undo = () => {
    const last = state.undo.pop();
    if (!last) { said("There is nothing to undo."); return; }
    if (last.had) state.answers[last.digest] = last.answer; else delete state.answers[last.digest];
    if (last.skip) state.skipped[last.digest] = true; else delete state.skipped[last.digest];
    state.added.length = Math.min(state.added.length, last.added);
    state.at = last.at;
    store();
    show();
    said(`Undone: image ${last.at + 1}.`);
  };
  const move = (by) => {
    state.at = (state.at + by + images.length) % images.length;
    store();
    show();
    said("");
  };

  const save = () => {
    const rows = images.filter((one) => Object.hasOwn(state.answers, one.digest))
      .map((one) => ({ path: one.path, digest: one.digest, label: state.answers[one.digest] }));
    if (!rows.length) { said("There is no answer to save yet."); return; }
    const used = new Set(rows.map((row) => row.label));
    const file = {
      kind: "frostline answers", version: 1, run: data.run, answers: rows,
      new_classes: state.added.filter((name) => used.has(name)),
      skipped: images.length - rows.length,
    };
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([`${JSON.stringify(file, null, 1)}\n`], { type: "application/json" }));
    link.download = data.file;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    said(`Saved ${rows.length} answers as ${data.file}.`);
  };

  const button = (label, key, guess, pressed) => {
    const made = document.createElement("button");
    made.type = "button";
    if (key) {
      const shown = document.createElement("kbd");
      shown.textContent = key;
      made.append(shown);
    }
    const text = document.createElement("span");
    text.textContent = label;
    made.append(text);
    made.classList.toggle("guess", guess);
    made.setAttribute("aria-pressed", String(pressed));
    made.addEventListener("click", () => answer(label));
    return made;
  };

  // what the keys 1 to 9 and 0 stand for now
  let keyed = [];
  const showClasses = () => {
    const one = images[state.at];
    const all = classes();
    const wanted = $("find").value.trim().toLowerCase();
    const few = all.length <= KEYS.length;
    $("find-row").hidden = few;
    const likeliest = [one.predicted, ...one.others].filter((name) => all.includes(name));
    keyed = few ? all : [...new Set([one.label, ...likeliest])].filter(Boolean).slice(0, LIKELIEST);
    const order = few ? all : [...keyed, ...all.filter((name) => !keyed.includes(name))];
    const shown = order.filter((name) => few || name.toLowerCase().includes(wanted));
    const current = answered(state.at) ? answerOf(state.at) : null;
    $("classes").replaceChildren(...shown.map((name) => {
      const key = keyed.indexOf(name);
      return button(name, key >= 0 ? KEYS[key] : "", name === one.predicted, name === current);
    }));
    return shown;
  };

  const caption = (i) => {
    if (answered(i)) return named(answerOf(i));
    return skipped(i) ? "skipped" : images[i].label || `${images[i].predicted}?`;
  };
  const tiles = images.map((one, i) => {
    const item = document.createElement("li");
    const made = document.createElement("button");
    made.type = "button";
    const picture = document.createElement("img");
    picture.src = one.picture;
    picture.alt = "";
    picture.loading = "lazy";
    const text = document.createElement("span");
    made.append(picture, text);
    made.addEventListener("click", () => {
      state.at = i;
      store();
      show();
      said("");
      $("answer").scrollIntoView({ block: "start" });
      $("answer").focus({ preventScroll: true });
    });
    item.append(made);
    $(one.apart ? "apart-tiles" : "tiles").append(item);
    return { made, text };
  });

  const show = () => {
    const one = images[state.at];
    $("find").value = "";
    $("new-form").hidden = true;
    $("picture").src = one.picture;
    $("picture").alt = `Image ${state.at + 1}: ${one.name}`;
    $("name").textContent = one.copies ? `${one.name} (and ${one.copies} like it)` : one.name;
    $("place").textContent = `Image ${state.at + 1} of ${images.length}`;
    $("why").textContent = one.why;
    $("told").textContent = `The model says ${one.predicted}, ${percent(one.confidence)}. Enter takes it.`;
    const done = answered(state.at);
    $("current").textContent = done ? `Answered: ${named(answerOf(state.at))}` : skipped(state.at) ? "Skipped" : "";
    $("none").setAttribute("aria-pressed", String(done && answerOf(state.at) === NONE));
    $("skip").setAttribute("aria-pressed", String(skipped(state.at)));
    $("undo").disabled = !state.undo.length;
    showClasses();
    const count = images.filter((_, i) => answered(i)).length;
    const passed = images.filter((_, i) => skipped(i)).length;
    const text = `${count} of ${images.length} answered`;
    $("count").textContent = `${text}${passed ? `, ${passed} skipped` : ""}${storing ? "" : " – this browser keeps nothing: save them"}`;
    $("progress").max = images.length;
    $("progress").value = count;
    $("progress").textContent = text;
    tiles.forEach(({ made, text: told }, i) => {
      told.textContent = caption(i);
      made.classList.toggle("done", answered(i));
      made.setAttribute("aria-current", String(i === state.at));
      made.setAttribute("aria-label", `Image ${i + 1}, ${images[i].name}: ${caption(i)}`);
    });
  };

  const ask = () => {
    $("new-form").hidden = false;
    $("new-name").value = "";
    $("new-name").focus();
  };
  const close = () => {
    $("new-form").hidden = true;
    $("answer").focus({ preventScroll: true });
  };
  $("new-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const name = $("new-name").value.trim();
    if (!name) return;
    const same = classes().find((known) => known.toLowerCase() === name.toLowerCase());
    const before = state.added.length;
    if (!same) state.added.push(name);
    close();
    answer(same || name);
    // undoing the answer takes the class away as well
    if (!same) state.undo[state.undo.length - 1].added = before;
    store();
  });
  $("find").addEventListener("input", showClasses);
  $("find").addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      const shown = showClasses();
      if (shown.length) { $("answer").focus({ preventScroll: true }); answer(shown[0]); }
    }
  });
  $("undo").addEventListener("click", undo);
  $("save").addEventListener("click", save);
  $("none").addEventListener("click", () => answer(NONE));
  $("skip").addEventListener("click", skip);
  $("new").addEventListener("click", ask);

  const COMMANDS = {
    n: () => answer(NONE), s: skip, c: ask, u: undo, d: save, backspace: undo,
    arrowleft: () => move(-1), arrowright: () => move(1),
    "/": () => { if (!$("find-row").hidden) $("find").focus(); },
    "?": () => { const keys = document.querySelector(".keys"); keys.open = !keys.open; },
    k: () => { if (images[state.at].label) answer(images[state.at].label); },
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const typing = event.target.matches("input");
    if (typing) {
      if (event.key === "Escape") { $("find").value = ""; showClasses(); close(); }
      return;
    }
    // a button that is reached by Tab does what it says
    if (event.key === "Enter" && event.target.matches("button, summary, a")) return;
    const place = KEYS.indexOf(event.key);
    if (place >= 0 && place < keyed.length) {
      event.preventDefault();
      answer(keyed[place]);
    } else if (event.key === "Enter") {
      event.preventDefault();
      answer(images[state.at].predicted);
    } else if (Object.hasOwn(COMMANDS, event.key.toLowerCase())) {
      event.preventDefault();
      COMMANDS[event.key.toLowerCase()]();
    }
  });

  load();
  const labelled = images.some((one) => one.label);
  $("keep-key").hidden = !labelled;
  $("keep-said").hidden = !labelled;
  $("apart").hidden = !images.some((one) => one.apart);
  $("sheet").hidden = false;
  show();
})();
