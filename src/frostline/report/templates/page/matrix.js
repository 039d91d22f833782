// the large confusion matrix: name the pair below the pointer, walk by keys, change the order
(() => {
  document.querySelectorAll("[data-matrix]").forEach((figure) => {
    const svg = figure.querySelector("svg");
    const region = figure.querySelector(".scroll");
    const output = figure.querySelector("output");
    const names = JSON.parse(figure.dataset.names);
    const [left, top, side] = ["left", "top", "cell"].map((key) => Number(figure.dataset[key]));
    const cells = figure.dataset.cells.split(";").map((one) => one.split(",").map(Number));
    const counts = new Map(cells.map(([t, p, n]) => [t * names.length + p, n]));
    const grouped = figure.dataset.order.split(",").map(Number);
    const orders = {
      grouped,
      given: names.map((_, i) => i),
      hard: figure.dataset.hard.split(",").map(Number),
    };
    const rows = [...svg.querySelectorAll("text.row")];
    const columns = [...svg.querySelectorAll("text.column")];
    const homes = rows.map((text) => Number(text.getAttribute("y")));
    const across = columns.map((text) => Number(text.getAttribute("x")));
    const base = columns.length ? columns[0].getAttribute("y") : 0;
    let order = grouped;

    const mark = (kind) => {
      const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      rect.setAttribute("class", kind);
      rect.setAttribute("visibility", "hidden");
      svg.append(rect);
      return rect;
    };
    const bands = [mark("cursor band"), mark("cursor band"), mark("cursor")];
    const place = (rect, x, y, width, height) => {
      Object.entries({ x, y, width, height, visibility: "visible" }).forEach(([key, value]) =>
        rect.setAttribute(key, value));
    };
    let at = null;
    const point = (row, column) => {
      const last = names.length - 1;
      at = [Math.min(last, Math.max(0, row)), Math.min(last, Math.max(0, column))];
      const [x, y] = [left + at[1] * side, top + at[0] * side];
      place(bands[0], left, y, names.length * side, side);
      place(bands[1], x, top, side, names.length * side);
      place(bands[2], x, y, side, side);
      const [t, p] = [order[at[0]], order[at[1]]];
      const count = counts.get(t * names.length + p) ?? 0;
      const images = count === 1 ? "image" : "images";
      output.textContent = t === p
        ? `${names[t]}: ${count} ${images} right`
        : `${names[t]} taken for ${names[p]}: ${count} ${images}`;
    };
    const under = (event) => {
      const box = svg.getBoundingClientRect();
      const scale = svg.viewBox.baseVal.width / box.width;
      const column = Math.floor(((event.clientX - box.left) * scale - left) / side);
      const row = Math.floor(((event.clientY - box.top) * scale - top) / side);
      if (row >= 0 && column >= 0 && row < names.length && column < names.length) point(row, column);
    };
    svg.addEventListener("pointermove", under);
    svg.addEventListener("pointerdown", under);
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    region.addEventListener("keydown", (event) => {
      const step = steps[event.key];
      if (!step) return;
      event.preventDefault();
      point(...(at ? [at[0] + step[0], at[1] + step[1]] : [0, 0]));
      bands[2].scrollIntoView({ block: "nearest", inline: "nearest" });
    });

    const select = figure.querySelector("select");
    select.addEventListener("change", () => {
      order = orders[select.value];
      const rank = new Map(order.map((c, i) => [c, i]));
      const ways = new Map();
      cells.forEach(([t, p, , level]) => {
        const key = `${t === p ? "right" : "wrong"} level-${level}`;
        const x = (left + rank.get(p) * side).toFixed(1);
        const corner = `M${x} ${(top + rank.get(t) * side).toFixed(1)}`;
        ways.set(key, `${ways.get(key) ?? ""}${corner}h${side}v${side}h-${side}z`);
      });
      svg.querySelectorAll("path.cell").forEach((path) => {
        path.setAttribute("d", ways.get(path.getAttribute("class").replace("cell ", "")) ?? "");
      });
      svg.querySelectorAll("path.group").forEach((path) => {
        path.setAttribute("visibility", order === grouped ? "visible" : "hidden");
      });
      grouped.forEach((c, i) => {
        const to = rank.get(c);
        rows[i]?.setAttribute("y", homes[to]);
        columns[i]?.setAttribute("x", across[to]);
        columns[i]?.setAttribute("transform", `rotate(-90 ${across[to]} ${base})`);
      });
      bands.forEach((band) => band.setAttribute("visibility", "hidden"));
      at = null;
    });
    figure.querySelector(".filter").hidden = false;
  });
})();
