// Saying what is right where an answer was wrong.

function offerCorrection(card, file, model, result) {
  if (!settings.takes_feedback) return;
  const button = card.querySelector(".wrong"), place = card.querySelector(".correction");
  button.hidden = false;
  button.setAttribute("aria-label", `This was wrong: ${file.name}`);
  button.addEventListener("click", () => {
    if (place.hidden) openCorrection(card, result);
    else closeCorrection(card);
  });
  place.addEventListener("submit", (event) => {
    event.preventDefault();
    correct(card, file, model);
  });
  place.addEventListener("keydown", (event) => {
    if (event.key === "Escape") closeCorrection(card);
  });
  place.querySelector(".cancel").addEventListener("click", () => closeCorrection(card));
}

function closeCorrection(card) {
  card.querySelector(".correction").hidden = true;
  const button = card.querySelector(".wrong");
  button.setAttribute("aria-expanded", "false");
  button.focus();
}

async function openCorrection(card, result) {
  const place = card.querySelector(".correction"), button = card.querySelector(".wrong");
  button.disabled = true;
  try {
    // another model may know more by now
    const { task = "single", classes } = await ask("model");
    place.choice = (CHOICES[task] ?? CHOICES.single)(classes, result);
    place.querySelector(".choices").replaceChildren(...place.choice.elements);
    place.querySelector(".trouble").hidden = true;
    place.hidden = false;
    button.setAttribute("aria-expanded", "true");
    place.querySelector("select, input").focus();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    warn(`The model: ${error.message}.`);
  } finally {
    button.disabled = false;
  }
}

// what there is to choose from, and what was chosen as the service reads it; null for nothing yet
function oneOf(classes, result) {
  const label = document.createElement("label"), name = element("span", "What is right");
  const select = document.createElement("select");
  name.className = "hidden";
  const names = classes.filter((name) => name !== result.label);
  select.append(new Option("Choose …", "?"), ...names.map((name, i) => new Option(name, i)),
    new Option("None of these", "none"));
  label.append(name, select);
  const read = () => select.value === "?" ? null : select.value === "none" ? "" : names[select.value];
  return { elements: [label], read, missing: "Choose what it is." };
}

function someOf(classes, result) {
  const boxes = classes.map((name) => {
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = result.labels.includes(name);
    return box;
  });
  const labels = classes.map((name, i) => {
    const label = element("label", ""), text = element("span", name);
    label.className = "box";
    label.append(boxes[i], text);
    return label;
  });
  const read = () => classes.filter((_, i) => boxes[i].checked).join(";");
  return { elements: labels, read, missing: "" };
}

function numbers(classes) {
  const inputs = classes.map(() => {
    const input = document.createElement("input");
    input.type = "number";
    input.step = "any";
    return input;
  });
  const labels = classes.map((name, i) => {
    const label = element("label", name);
    label.append(inputs[i]);
    return label;
  });
  const read = () => inputs.some((input) => input.value)
    ? inputs.map((input) => input.value || "?").join(";") : null;
  return { elements: labels, read, missing: "Write at least one number." };
}

const CHOICES = { single: oneOf, ordinal: oneOf, multilabel: someOf, regression: numbers };

function element(kind, text) {
  const made = document.createElement(kind);
  made.textContent = text;
  return made;
}

async function correct(card, file, model) {
  const place = card.querySelector(".correction"), trouble = place.querySelector(".trouble");
  const send = place.querySelector(".send"), label = place.choice.read();
  const tell = (text) => { trouble.textContent = text; trouble.hidden = !text; };
  if (label === null) { tell(place.choice.missing); return; }
  send.disabled = true;
  try {
    const kept = await ask("feedback", form(file, { label, model }));
    const said = kept.label || (place.choice.missing ? "none of these" : "none of the labels");
    const thanks = card.querySelector(".thanks");
    thanks.textContent = `Noted: ${said.replaceAll(";", ", ")}.`;
    thanks.hidden = false;
    closeCorrection(card);
    say(`${file.name}: noted as ${said}.`);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (error.problem.kind === "another_model") {
      askAgain(card, file);
      return;
    }
    tell(`Not noted: ${error.problem.what}.`);
  } finally {
    send.disabled = false;
  }
}

// the answer that was wrong is none of the model that is served by now
function askAgain(card, file) {
  const again = addCard(file);
  card.before(again);
  if (card.picture) URL.revokeObjectURL(card.picture);
  card.remove();
  warn(`The model was replaced meanwhile: ${file.name} is asked about again.`);
  classify(again, file);
}
