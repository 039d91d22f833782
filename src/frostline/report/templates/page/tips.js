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
  const show = (event) => {
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
  document.addEventListener("scroll", () => { tip.hidden = true; }, { capture: true, passive: true });
})();
