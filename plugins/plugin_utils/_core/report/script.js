// Pages can be read without this script. It makes tables sortable by keyboard, and long tables searchable. It scrolls a
// picture that is larger than its frame to the page's own tier, or to the first tier.
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
for (const picture of document.querySelectorAll(".tw-picture")) {
  const frame = picture.closest(".scroll");
  const middle = (box) => [box.left + box.width / 2, box.top + box.height / 2];
  const [left, top] = middle(frame.getBoundingClientRect());
  const start = picture.querySelector(".tw-here") ?? picture.querySelector("[role=listitem]");
  if (start === null) continue;
  const [x, y] = middle(start.getBoundingClientRect());
  frame.scrollBy({ left: x - left, top: y - top, behavior: "instant" });
}
