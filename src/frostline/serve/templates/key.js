// The key of the service, and the moment at which everything begins.

function wrongKey() {
  sessionStorage.removeItem(KEY);
  find("key-form").hidden = false;
  find("key-note").textContent = "This key was not accepted.";
  find("key").focus();
}

function start() { begin().catch((error) => warn(`The model: ${error.message}.`)); }

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
