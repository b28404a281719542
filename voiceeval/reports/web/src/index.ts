// The list of calls on the first screen: filters by tag and by text.
import "./index.css";

function start(): void {
  const form = document.getElementById("filters") as HTMLFormElement | null;
  const body = document.getElementById("call-rows") as HTMLTableSectionElement | null;
  const text = document.getElementById("filter-text") as HTMLInputElement | null;
  const shown = document.getElementById("shown-count");
  if (!form || !body || !text || !shown) return;
  const rows = [...body.rows];
  const selects = [...form.querySelectorAll("select")];
  const apply = (): void => {
    const wanted = text.value.trim().toLowerCase();
    let count = 0;
    for (const row of rows) {
      const keep =
        (!wanted || (row.textContent ?? "").toLowerCase().includes(wanted)) &&
        selects.every((select) => select.value === "" || row.getAttribute(`data-${select.name}`) === select.value);
      row.hidden = !keep;
      count += Number(keep);
    }
    shown.textContent = String(count);
  };
  form.hidden = false;
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => window.setTimeout(apply, 0));
  for (const link of document.querySelectorAll("a[data-filters]")) {
    link.addEventListener("click", () => {
      form.reset();
      for (const select of selects) {
        const value = link.getAttribute(`data-${select.name}`);
        if (value !== null) select.value = value;
      }
      window.setTimeout(apply, 0);
    });
  }
  apply();
}

start();
