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

function line(name, ...cells) {
  const row = document.createElement("tr"), head = document.createElement("th");
  head.scope = "row";
  head.textContent = name;
  row.append(head, ...cells.map((parts) => {
    const cell = document.createElement("td");
    cell.append(...parts);
    return cell;
  }));
  return row;
}

function rowOf([name, found]) {
  const [share, interval] = sharing(found), ends = document.createElement("span");
  ends.className = "interval soft";
  ends.textContent = interval;
  return line(name, [`${count(found.wrong)} of ${count(found.answers)}`], [share, ends]);
}

// evidence is the money of a game, told as a logarithm
const money = (log) => log < 6 ? count(Math.round(10 ** log)) : `10^${Math.round(log)}`;
const ENDS = {
  none: "The last pictures are like those of training.",
  early: "The last pictures differ at the early end of the network: look at the camera (focus, noise, light, compression).",
  late: "The last pictures differ at the late end of the network: they show something else.",
};

function showWatch(watch) {
  find("watch").hidden = watch === null;
  if (watch === null) return;
  const alarmed = watch.alarm_at !== null, chance = `${100 * watch.false_alarms} %`;
  find("alarm").textContent = alarmed
    ? `Alarm at picture ${count(watch.alarm_at)}: pictures are no longer what the model learned from.`
    : `No alarm: pictures are what the model learned from, as far as ${count(watch.pictures)} tell.`;
  find("alarm").className = alarmed ? "warn" : "";
  find("watched").replaceChildren(
    ...fact("Pictures counted", count(watch.pictures)),
    ...fact("Evidence", `${money(watch.evidence)}; an alarm takes ${money(watch.needed)}`),
    ...fact("False alarms", `ever, with a chance of at most ${chance}`),
    ...fact("Unlike all of training", count(watch.unknown)),
    ...fact("Change", ENDS[watch.onset]));
  find("depths").replaceChildren(...watch.depths.map((one) => line(one.name,
    [`${one.distance.toFixed(2)} (by chance ${one.by_chance.toFixed(2)})`],
    [one.p_value < 0.01 ? "< 0.01" : one.p_value.toFixed(2)])));
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
  showWatch(state.watch);
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
