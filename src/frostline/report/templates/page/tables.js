// tables sort by a click on a heading; lists filter by what is typed
(() => {
  const value = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
  };
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number"
      ? a - b
      : String(a).localeCompare(String(b), undefined, { numeric: true });

  document.querySelectorAll("table[data-sort]").forEach((table) => {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      if (head.dataset.plain !== undefined) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const rows = [...table.tBodies[0].rows];
        const numbers = rows.some((row) => row.cells[column].dataset.value !== undefined);
        const first = numbers ? "descending" : "ascending";
        const second = numbers ? "ascending" : "descending";
        const order = head.getAttribute("aria-sort") === first ? second : first;
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", order);
        const sign = order === "ascending" ? 1 : -1;
        rows.sort((a, b) => sign * compare(value(a, column), value(b, column)));
        table.tBodies[0].append(...rows);
      });
    });
  });

  document.querySelectorAll("[data-filter]").forEach((box) => {
    const id = box.dataset.filter;
    const input = box.querySelector("input");
    const output = box.querySelector("output");
    const [one, many] = output.dataset.of.split(",");
    const target = document.getElementById(id);
    const more = document.querySelector(`[data-more="${id}"]`);
    const items = target.tBodies
      ? [...target.tBodies[0].rows]
      : [...target.children, ...(more ? more.children : [])];
    const words = (item) => (item.dataset.words ?? item.cells[0].textContent).toLowerCase();
    input.setAttribute("aria-controls", id);
    input.addEventListener("input", () => {
      const wanted = input.value.trim().toLowerCase();
      let count = 0;
      items.forEach((item) => {
        item.hidden = !words(item).includes(wanted);
        count += item.hidden ? 0 : 1;
      });
      if (wanted && more) more.closest("details").open = true;
      output.textContent = wanted ? `${count} of ${items.length} ${items.length === 1 ? one : many}` : "";
    });
    box.hidden = false;
  });
})();
