// One card for each image: its label, its bars, its heat map.

// ------------------------------------------------------------------ one image

const results = find("results"), SHOWN = 3;

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

function show(card, file, model, result) {
  const part = (name) => card.querySelector(`.${name}`);
  const said = answer(result);
  part("label").textContent = said;
  const sure = document.createElement("b");
  const known = result.confidence !== null;
  sure.textContent = known ? percent(result.confidence) : "";
  const whose = result.labels ? " for the least sure label" : " confidence";
  part("sure").replaceChildren(sure, known ? whose : "");
  part("unknown").hidden = !result.unknown;
  const unsure = result.labels ? result.abstain?.length : result.abstain;
  part("abstains").hidden = !unsure;
  if (unsure && result.labels) {
    part("abstains").textContent = `Too unsure for an answer: ${listed(result.abstain)}.`;
  }
  const open = openly(result);
  part("possible").hidden = !open;
  part("possible").textContent = open;
  const shares = Object.entries(result.probabilities);
  shares.sort((a, b) => b[1] - a[1]);
  const given = result.labels ?? [result.label];
  const bars = (shown) => shown.map((one) => bar(one, given.includes(one[0])));
  part("bars").replaceChildren(...bars(shares.slice(0, SHOWN)));
  foldBars(card, shares, bars);
  const select = part("legend").querySelector("select");
  const named = result.value ? Object.keys(result.value) : shares.map(([name]) => name);
  select.replaceChildren(...named.slice(0, 50).map((name) => new Option(name, name)));
  part("bars").hidden = !shares.length;
  if (result.value) {
    part("for").textContent = "raises";
    part("against").textContent = "lowers it";
  }
  part("nearest").hidden = !result.nearest;
  part("nearest").querySelector("ol").replaceChildren(...(result.nearest ?? []).map(neighbour));
  offerCorrection(card, file, model, result);
  part("explain").hidden = false;
  part("explain").setAttribute("aria-label", `Show why: ${file.name}`);
  // only what the service could read is shown: a bomb would stall the browser as well
  card.picture = URL.createObjectURL(file);
  part("thumb").alt = file.name;
  part("thumb").src = card.picture;
  const doubt = (result.unknown ? " Unlike anything I was trained on." : "")
    + (unsure ? " Too unsure for an answer." : "");
  const sureness = known ? `, ${percent(result.confidence)}` : "";
  say(`${file.name}: ${said}${sureness}.${doubt}`);
}

// the answer as a heading
function answer(result) {
  if (result.value) {
    const numbers = Object.entries(result.value);
    return numbers.length === 1 ? short(numbers[0][1])
      : listed(numbers.map(([name, value]) => `${name} ${short(value)}`));
  }
  return result.labels ? listed(result.labels) || "None of the labels" : result.label;
}

// what 95 % sets and 90 % intervals leave open, in words; empty where that is nothing
function openly(result) {
  if (result.interval) {
    const ends = Object.entries(result.interval).filter(([, both]) => both);
    const said = ends.map(([name, both]) => `${name} ${both.map(short).join(" to ")}`);
    return said.length ? `With 90 % confidence ${listed(said)}.` : "";
  }
  const set = result.set_95 ?? [];
  if (!Array.isArray(set)) {
    const either = Object.keys(set).filter((name) => set[name] === "either");
    return either.length ? `Perhaps there, perhaps not: ${listed(either)}.` : "";
  }
  return set.length < 2 ? "" : `With 95 % confidence one of: ${listed(set)}.`;
}

// a training image that it is like: what is true of it, which one, how like
function neighbour(one) {
  const item = document.createElement("li"), label = document.createElement("b");
  label.textContent = one.label;
  item.append(label, ` ${one.path} `, `(${one.similarity.toFixed(2)})`);
  return item;
}

function short(value) { return Number(value.toPrecision(4)).toString(); }

function listed(names) {
  const shown = names.slice(0, 2 * SHOWN), more = names.length - shown.length;
  return shown.join(", ") + (more ? ` and ${more} more` : "");
}

function bar([name, share], given) {
  const item = document.createElement("li");
  item.classList.toggle("given", given);
  const text = document.createElement("span"), value = document.createElement("span");
  const track = document.createElement("div"), filled = document.createElement("div");
  text.className = "text"; text.textContent = name;
  value.className = "share"; value.textContent = percent(share);
  track.className = "track"; track.setAttribute("aria-hidden", "true");
  filled.className = "bar"; filled.style.width = `${(100 * share).toFixed(2)}%`;
  track.append(filled);
  item.append(text, value, track);
  return item;
}

function foldBars(card, shares, bars) {
  const button = card.querySelector(".all"), list = card.querySelector(".bars");
  button.hidden = shares.length <= SHOWN;
  const label = (open) => { button.textContent = open ? "Show fewer" : `Show all ${shares.length}`; };
  label(false);
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", String(open));
    label(open);
    // a thousand classes are only drawn for who asks
    list.replaceChildren(...bars(shares.slice(0, open ? shares.length : SHOWN)));
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
    const { model, results: [result] } = await ask("predict", form(file));
    if (result.error) fail(card, file, result.error);
    else show(card, file, model, result);
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

// how much the place that matters most does
function strongest(found) {
  if (found.value !== null) return `Blurring the strongest place changes it by ${short(found.strongest)}.`;
  return found.strongest < 0.1 ? "No single place matters much."
    : `Blurring the strongest place changes the odds by a factor of ${Math.exp(found.strongest).toPrecision(2)}.`;
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
    part("strongest").textContent = strongest(found);
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
