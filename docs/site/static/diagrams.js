// Draws all diagrams of a page, and draws them again if the reader changes between the light and the dark theme.
(() => {
  const blocks = [...document.querySelectorAll("pre.mermaid")];
  const sources = blocks.map((block) => block.textContent);
  const isDark = () => {
    const chosen = document.body.dataset.theme;
    return chosen === "dark" || (chosen !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  };
  let drawn;
  const draw = async () => {
    if (drawn === isDark()) return;
    drawn = isDark();
    blocks.forEach((block, number) => {
      block.removeAttribute("data-processed");
      block.textContent = sources[number];
    });
    mermaid.initialize({ startOnLoad: false, securityLevel: "strict", theme: drawn ? "dark" : "neutral" });
    await mermaid.run({ nodes: blocks });
  };
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  new MutationObserver(draw).observe(document.body, { attributeFilter: ["data-theme"] });
})();
