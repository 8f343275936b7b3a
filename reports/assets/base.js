// What the page's pictures share: colours that follow the theme, figures for people, paper.
// Text reaches the page through textContent only. Nothing is loaded.
const page = (() => {
  "use strict";
  const root = document.documentElement;
  const data = JSON.parse(document.getElementById("data").textContent);
  const colours = {};
  const painters = [];

  function readColours() {
    const probe = document.createElement("i");
    document.body.append(probe);
    for (const name of ["ink", "soft", "rule", "paper", "wash", "a", "b", "c", "done", "gone", "band", "band-edge",
      "p1", "p2", "p3", "p4", "p5", "heat"]) {
      probe.style.color = `var(--${name})`;
      colours[name] = getComputedStyle(probe).color;
    }
    probe.remove();
  }

  // Draws now, and again whenever the theme or the paper changes.
  function paint(painter) {
    if (!painters.length) readColours();
    painters.push(painter);
    painter();
  }
  function repaint() {
    readColours();
    for (const painter of painters) painter();
  }

  const exact = v => v.toLocaleString("en", { maximumFractionDigits: Math.abs(v) < 100 ? 1 : 0 });
  const duration = ms => (ms >= 1000 ? `${exact(ms / 1000)} s` : ms < 1 ? `${exact(ms * 1000)} µs` : `${exact(ms)} ms`);
  function bytes(v) {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = 0;
    while (Math.abs(v) >= 1024 && unit + 1 < units.length) { v /= 1024; unit++; }
    return `${exact(v)} ${units[unit]}`;
  }
  const font = size => `${size}px ${getComputedStyle(document.body).fontFamily}`;

  // Lines of a floating note: [class, left, right]. Stays inside its frame.
  function note(tip, frame, x, y, title, lines) {
    tip.textContent = "";
    const head = document.createElement("b");
    head.textContent = title;
    tip.append(head);
    for (const [className, ...texts] of lines) {
      const line = document.createElement("div");
      line.className = className;
      for (const text of texts) {
        const part = document.createElement("span");
        part.textContent = text;
        line.append(part);
      }
      tip.append(line);
    }
    tip.hidden = false;
    const flip = x + tip.offsetWidth + 24 > frame.clientWidth;
    tip.style.left = `${Math.max(0, flip ? x - tip.offsetWidth - 14 : x + 14)}px`;
    tip.style.top = `${Math.max(0, y)}px`;
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  new MutationObserver(repaint).observe(root, { attributeFilter: ["data-theme"] });

  // On paper: light colours, the paper's width, every check unfolded.
  let before = null;
  addEventListener("beforeprint", () => {
    before = { theme: root.dataset.theme, folded: [...document.querySelectorAll("details.check:not([open])")] };
    root.dataset.theme = "light";
    root.classList.add("paper");
    for (const check of before.folded) check.open = true;
    repaint();
  });
  addEventListener("afterprint", () => {
    if (!before) return;
    if (before.theme) root.dataset.theme = before.theme; else delete root.dataset.theme;
    root.classList.remove("paper");
    for (const check of before.folded) check.open = false;
    before = null;
    repaint();
  });

  for (const button of document.querySelectorAll("button.copy")) {
    const source = document.getElementById(button.dataset.of);
    if (!source) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const range = document.createRange();
      range.selectNodeContents(source);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      try {
        await navigator.clipboard.writeText(source.textContent);
      } catch {
        document.execCommand("copy");
      }
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1600);
    });
  }

  return { data, colours, paint, repaint, exact, duration, bytes, font, note };
})();
