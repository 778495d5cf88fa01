"use strict";
// Shows the rows of the pressed states (none pressed: of all) that have all the words somewhere in their text.
{
  const filters = document.getElementById("filters");
  const buttons = [...filters.querySelectorAll("button[data-state]")];
  const words = document.getElementById("words");
  const groups = [...document.querySelectorAll("tbody")].map((body) => {
    const [head, ...rows] = body.rows;
    const title = head.querySelector(".title").textContent;
    return { body, rows: rows.map((row) => ({ row, text: `${title} ${row.textContent}`.toLowerCase() })) };
  });

  const isPressed = (button) => button.getAttribute("aria-pressed") === "true";
  const press = (button, pressed) => button.setAttribute("aria-pressed", String(pressed));

  const apply = () => {
    const states = new Set(buttons.filter(isPressed).map((button) => button.dataset.state));
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    let total = 0;
    for (const { body, rows } of groups) {
      let here = 0;
      for (const { row, text } of rows) {
        const matches =
          (states.size === 0 || states.has(row.dataset.state)) && wanted.every((word) => text.includes(word));
        row.hidden = !matches;
        here += matches;
      }
      body.hidden = here === 0;
      shown += here;
      total += rows.length;
    }
    document.getElementById("shown").textContent = `${shown} of ${total} shown`;
    document.getElementById("nothing").hidden = shown > 0;
  };

  for (const button of buttons) {
    button.addEventListener("click", () => {
      press(button, !isPressed(button));
      apply();
    });
  }
  words.addEventListener("input", apply);
  document.getElementById("reset").addEventListener("click", () => {
    buttons.forEach((button) => press(button, false));
    words.value = "";
    apply();
  });
  // A browser that restores a page restores what was typed, but not what was pressed.
  apply();
  filters.hidden = false;
}
