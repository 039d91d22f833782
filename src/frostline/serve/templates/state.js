// What is served, and what people said of its answers.

const AGAIN = 10_000;

function fact(name, value) {
  const term = document.createElement("dt"), text = document.createElement("dd");
  term.textContent = name;
  text.textContent = value;
  return [term, text];
}

const STYLE = { dateStyle: "medium", timeStyle: "short" };
const moment = (text) => new Date(text).toLocaleString("en-GB", STYLE);
const count = (number) => number.toLocaleString("en-GB");

// a share and its interval; before the first answer there is neither
function sharing(found) {
  if (found.share === null) return ["–", ""];
  const [low, high] = found.interval;
  return [plain(found.share), ` (${(100 * low).toFixed(1)} to ${plain(high)})`];
}

function rowOf([name, found]) {
  const row = document.createElement("tr"), head = document.createElement("th");
  head.scope = "row";
  head.textContent = name;
  const [share, interval] = sharing(found), ends = document.createElement("span");
  ends.className = "interval soft";
  ends.textContent = interval;
  row.append(head, ...[[`${count(found.wrong)} of ${count(found.answers)}`], [share, ends]].map((parts) => {
    const cell = document.createElement("td");
    cell.append(...parts);
    return cell;
  }));
  return row;
}

function show(state) {
  const task = TASKS[state.task], { whole, feedback } = state;
  find("model").textContent = `${task.does(state.outputs)}, with ${state.backbone}.`;
  find("facts").replaceChildren(
    ...fact("Fingerprint", state.model.slice(0, 12)),
    ...(state.created ? fact("Made", moment(state.created)) : []),
    ...fact("Loaded", moment(state.loaded)),
    ...fact("Pictures answered", count(whole.answers)),
    ...fact("Judged by people", count(whole.judged)),
    ...fact("Called wrong", `${count(whole.wrong)}: ${sharing(whole).join("")}`));
  find("kept").textContent = feedback === null
    ? "This service takes no feedback."
    : `${count(feedback.entries)} of at most ${count(feedback.max_entries)} entries of feedback are kept, `
      + (feedback.keeps_images ? "with their pictures." : "without pictures.");
  const rows = Object.entries(state.by_answer);
  find("answers").hidden = !rows.length;
  find("rows").replaceChildren(...rows.map(rowOf));
}

let next = 0;
async function begin() {
  clearTimeout(next);
  next = setTimeout(look, AGAIN);
  const state = await ask("state.json");
  warn("");
  show(state);
}

function look() {
  const locked = settings.asks_for_key && !sessionStorage.getItem(KEY);
  if (document.hidden || locked) next = setTimeout(look, AGAIN);
  else start();
}
