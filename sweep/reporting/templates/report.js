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
