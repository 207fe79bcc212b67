// Pages can be read without this script. It makes tables sortable by keyboard, and long tables searchable. On a narrow
// screen, it makes each row of a table a card. It scrolls a picture that is larger than its frame to the page's own tier,
// or to the first tier.
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  for (const head of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
  }
}
const FEW = 12;
for (const table of document.querySelectorAll("table[data-filter]")) {
  const total = table.tBodies[0].rows.length;
  if (total <= FEW) continue;
  const label = document.createElement("label");
  const input = document.createElement("input");
  const count = document.createElement("output");
  input.type = "search";
  label.append(`Find ${table.dataset.filter}`, input);
  const search = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    count.textContent = words.length ? `${shown} of ${total}` : "";
  };
  input.addEventListener("input", search);
  const line = document.createElement("p");
  line.className = "filter";
  line.append(label, count);
  table.parentElement.before(line);
}
// A browser forgets what a table is when its rows become blocks, so the roles are written down.
const ROLES = { TABLE: "table", THEAD: "rowgroup", TBODY: "rowgroup", TR: "row", TD: "cell" };
const NOTHING = "–";
function makeCards(table) {
  const heads = [...table.tHead.rows[0].cells];
  const labels = heads.map((head) => head.textContent.trim());
  table.role = ROLES.TABLE;
  for (const element of table.querySelectorAll("thead, tbody, tr, td")) element.role = ROLES[element.tagName];
  for (const head of heads) head.role = "columnheader";
  for (const row of table.tBodies[0].rows) {
    [...row.cells].forEach((cell, column) => {
      if (cell.tagName === "TH") cell.role = "rowheader";
      else if (labels[column]) cell.dataset.label = labels[column];
      if (cell.textContent.trim() === NOTHING) cell.dataset.nothing = "";
    });
  }
  table.classList.add("cards");
}
const narrow = matchMedia("(max-width: 40rem)");
const makeAllCards = () => {
  if (narrow.matches) document.querySelectorAll("table:not(.cards)").forEach(makeCards);
};
narrow.addEventListener("change", makeAllCards);
makeAllCards();
for (const picture of document.querySelectorAll(".tw-picture")) {
  if (picture.getClientRects().length === 0) continue;
  const frame = picture.closest(".scroll");
  const middle = (box) => [box.left + box.width / 2, box.top + box.height / 2];
  const [left, top] = middle(frame.getBoundingClientRect());
  const start = picture.querySelector(".tw-here") ?? picture.querySelector("[role=listitem]");
  if (start === null) continue;
  const [x, y] = middle(start.getBoundingClientRect());
  frame.scrollBy({ left: x - left, top: y - top, behavior: "instant" });
}
