// Sort a table by the column whose heading was chosen; choose again to reverse.
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const up = heading.getAttribute("aria-sort") !== "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", up ? "ascending" : "descending");
      const key = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
      // What is missing comes after everything else.
      const number = (row) => (key(row) === "" ? Infinity : Number(key(row)));
      const rows = [...table.tBodies[0].rows];
      if (rows.some((row) => Number.isNaN(number(row))))
        rows.sort((a, b) => key(a).localeCompare(key(b), undefined, { numeric: true }));
      else rows.sort((a, b) => (number(a) === number(b) ? 0 : number(a) - number(b)));
      table.tBodies[0].append(...(up ? rows : rows.reverse()));
    });
  });
}

// Rows of the leaderboard that contain every word.
for (const table of document.querySelectorAll("table.filtered")) {
  const input = document.createElement("input");
  input.type = "search";
  input.className = "filter";
  input.placeholder = "Filter: words that a row must have";
  input.setAttribute("aria-label", input.placeholder);
  table.closest(".scroll").before(input);
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of table.tBodies[0].rows)
      row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
  });
}

// The value of the point of a figure that is nearest to the pointer.
const tip = document.createElement("div");
tip.id = "tip";
tip.setAttribute("role", "status");
tip.hidden = true;
document.body.append(tip);
for (const svg of document.querySelectorAll("svg[data-points]")) {
  const parts = svg.dataset.parts.split("|");
  const points = svg.dataset.points.split("|").map((text) => {
    const [x, y, ...said] = text.split(" ").map(Number);
    return { x, y, words: said.map((place) => parts[place]).join(" ") };
  });
  const show = (event) => {
    const box = svg.getBoundingClientRect();
    const scale = box.width / svg.viewBox.baseVal.width;
    const away = ({ x, y }) =>
      Math.hypot(box.left + x * scale - event.clientX, box.top + y * scale - event.clientY);
    const nearest = points.reduce((one, other) => (away(other) < away(one) ? other : one));
    tip.hidden = away(nearest) > 24;
    if (tip.hidden) return;
    tip.textContent = nearest.words;
    const left = box.left + nearest.x * scale + 10;
    tip.style.left = `${scrollX + Math.max(4, Math.min(left, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${scrollY + box.top + nearest.y * scale - tip.offsetHeight - 8}px`;
  };
  svg.addEventListener("pointermove", show);
  svg.addEventListener("pointerdown", show);
  svg.addEventListener("pointerleave", () => (tip.hidden = true));
}

// Nothing that is folded is missing on paper, or where a link leads.
const unfold = (one) => {
  for (let next = one; next; next = next.parentElement) if (next.localName === "details") next.open = true;
};
const arrive = () => unfold(document.getElementById(decodeURIComponent(location.hash.slice(1))));
addEventListener("hashchange", arrive);
arrive();
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(unfold));
