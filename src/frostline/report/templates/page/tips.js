"use strict";
// hints follow the pointer; without scripts the browser shows them as titles
(() => {
  const tip = document.getElementById("tip");
  document.querySelectorAll("svg .hit").forEach((hit) => {
    const title = hit.querySelector("title");
    hit.dataset.tip = title.textContent;
    title.remove();
  });
  document.querySelectorAll("td[title]").forEach((cell) => {
    cell.dataset.tip = cell.title;
    cell.removeAttribute("title");
  });
  let at = { clientX: -1, clientY: -1 };
  const show = (event) => {
    at = { clientX: event.clientX, clientY: event.clientY };
    const place = event.target.closest?.("[data-tip]");
    tip.hidden = !place;
    if (!place) return;
    tip.textContent = place.dataset.tip;
    const box = tip.getBoundingClientRect();
    const left = Math.min(event.clientX + 14, innerWidth - box.width - 8);
    const below = event.clientY + 18 + box.height < innerHeight;
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${below ? event.clientY + 18 : event.clientY - box.height - 12}px`;
  };
  document.addEventListener("pointermove", show);
  document.addEventListener("pointerdown", show);
  // what lies below a pointer that rests changes when the page moves
  document.addEventListener("scroll", () => {
    const target = document.elementFromPoint(at.clientX, at.clientY);
    if (target) show({ ...at, target });
  }, { capture: true, passive: true });
})();
