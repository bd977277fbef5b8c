// Filters of the page results.html. The choice is in the address, #device=NAME&verdict=VALID, so that it can be linked.
(() => {
  const form = document.getElementById("results-filters");
  const matrix = document.getElementById("results-matrix");
  const records = [...document.querySelectorAll("[data-record]")];
  const listed = [...document.querySelectorAll("#results-list [data-record]")];
  const selects = [...form.querySelectorAll("select")];

  function read() {
    if (location.hash && !location.hash.includes("=")) return; // a heading
    const wanted = new URLSearchParams(location.hash.slice(1));
    for (const select of selects) select.value = wanted.get(select.name) ?? "";
  }

  function apply() {
    for (const record of records) {
      record.hidden = selects.some((select) => select.value && record.dataset[select.name] !== select.value);
    }
    const rows = [...matrix.tBodies[0].rows];
    for (const row of rows) row.hidden = !row.querySelector("[data-record]:not([hidden])");
    const columns = matrix.tHead.rows[0].cells;
    for (let i = 3; i < columns.length - 1; i++) { // the devices
      const empty = !rows.some((row) => row.cells[i].querySelector("[data-record]:not([hidden])"));
      for (const cell of [columns[i], ...rows.map((row) => row.cells[i])]) cell.hidden = empty;
    }
    const shown = listed.filter((record) => !record.hidden).length;
    document.getElementById("results-count").value = `${shown} of ${listed.length} records`;
  }

  form.addEventListener("change", () => {
    const chosen = selects.filter((select) => select.value).map((select) => [select.name, select.value]);
    history.replaceState(null, "", chosen.length ? `#${new URLSearchParams(chosen)}` : location.pathname);
    apply();
  });
  addEventListener("hashchange", () => { read(); apply(); });
  read();
  apply();
  form.hidden = false;
})();
