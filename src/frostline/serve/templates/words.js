// Saying what the service said.

function percent(share) {
  if (share > 0.9995) return "over 99.9 %";
  if (share < 0.001) return "under 0.1 %";
  const outer = share < 0.1 || share > 0.9;
  return `${(100 * share).toFixed(outer ? 1 : 0)} %`;
}

function say(text) { find("status").textContent = text; }

function warn(text) { note.textContent = text; note.hidden = !text; }

const plain = (share) => `${(100 * share).toFixed(1)} %`;
// what a model does, how its outputs are called, and which score it is known by
const TASKS = {
  single: { many: "classes", does: (n) => `Tells ${n} classes apart`,
    score: "accuracy", reached: (score) => `Right on ${score} of` },
  ordinal: { many: "grades", does: (n) => `Tells ${n} grades apart`,
    score: "accuracy", reached: (score) => `Right on ${score} of` },
  multilabel: { many: "labels", does: (n) => `Finds which of ${n} labels an image has`,
    score: "mean_average_precision", reached: (score) => `Mean average precision ${score} on` },
  regression: { many: "numbers", does: (n) => n === 1 ? "Predicts a number" : `Predicts ${n} numbers`,
    score: "r2", reached: (score) => `Explains ${score} of what differs between` },
};

function ruled(card) {
  if (card.rule.thresholds?.length) return "Each label has a threshold of its own.";
  if (card.task === "ordinal") return "The answer need not be the likeliest grade: near ones count.";
  const why = { balanced_accuracy: "every class counts alike", macro_f1: "rare classes count", cost: "mistakes differ in cost" };
  return `The answer need not be the likeliest class: ${why[card.metric] ?? "the model has a rule of its own"}.`;
}

async function describe() {
  const card = await ask("model");
  const n = card.classes.length, test = card.test ?? {}, task = TASKS[card.task ?? "single"];
  const parts = [`${task.does(n)}, with ${card.backbone}.`];
  if (typeof test[task.score] === "number") {
    const [low, high] = test[`${task.score}_interval`] ?? [];
    const range = typeof low === "number" ? ` (95 % interval: ${plain(low)} to ${plain(high)})` : "";
    const before = test.before_quantising ? ", before it was made 8 bits wide" : "";
    parts.push(`${task.reached(plain(test[task.score]))} images that it had not seen${range}${before}.`);
  }
  if (card.rule) parts.push(ruled(card));
  find("model").textContent = parts.join(" ");
  find("outputs").textContent = `The ${task.many}`;
  find("classes").replaceChildren(...card.classes.map((name) => {
    const item = document.createElement("li");
    item.textContent = name;
    return item;
  }));
  find("more").hidden = false;
}
