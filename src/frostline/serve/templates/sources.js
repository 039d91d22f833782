// Where images come from, and in which order they are looked at.

// ------------------------------------------------------------------ many images

const AT_ONCE = 3;
const waiting = [];
let running = 0, count = 0;

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

// what to do as soon as the service may be asked
const begin = describe;
