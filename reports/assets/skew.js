// One cell for each subtask: the darker, the more. What stands out is seen before it is read.
(() => {
  "use strict";
  const { data, colours, exact, duration } = page;
  const shown = (v, unit) => (unit === "us" ? duration(v / 1000) : `${exact(v)} ${unit}`);

  for (const frame of document.querySelectorAll(".waffle")) {
    const figures = data.subtasks[+frame.dataset.of];
    if (!figures || !figures.values.length) continue;
    const canvas = document.createElement("canvas");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `${figures.what}, one cell for each ${figures.of}`);
    const tip = document.createElement("div");
    tip.className = "tip";
    tip.hidden = true;
    frame.append(canvas, tip);
    const { values } = figures;
    const most = values.reduce((l, v) => Math.max(l, v), 0);
    let side = 10, across = 100;

    function layout() {
      const width = document.documentElement.classList.contains("paper") ? 680 : frame.clientWidth;
      across = width < 520 ? 50 : 100;
      if (values.length <= across) across = values.length;
      // Few cells are not blown up, so that a small job does not look like a large one.
      side = Math.min(width / across, 22);
      return { width: side * across, height: side * Math.ceil(values.length / across) };
    }

    page.paint(() => {
      const { width, height } = layout();
      const px = devicePixelRatio || 1;
      canvas.width = Math.round(width * px);
      canvas.height = Math.round(height * px);
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
      const ctx = canvas.getContext("2d");
      const gap = side > 5 ? 1 : 0.5;
      values.forEach((v, n) => {
        const x = (n % across) * side, y = Math.floor(n / across) * side;
        // From zero, so that small differences look small.
        ctx.globalAlpha = 0.06 + 0.94 * (most > 0 ? v / most : 0) ** 1.5;
        ctx.fillStyle = colours.heat;
        ctx.fillRect(x * px, y * px, (side - gap) * px, (side - gap) * px);
      });
      ctx.globalAlpha = 1;
    });

    canvas.addEventListener("mousemove", event => {
      const at = canvas.getBoundingClientRect();
      const [x, y] = [event.clientX - at.left, event.clientY - at.top];
      const n = Math.floor(y / side) * across + Math.floor(x / side);
      if (n < 0 || n >= values.length || x / side >= across) { tip.hidden = true; return; }
      page.note(tip, frame, x, y + 16, `${figures.of}[${n}]`, [["", figures.what, shown(values[n], figures.unit)]]);
    });
    canvas.addEventListener("mouseleave", () => { tip.hidden = true; });
    let width = frame.clientWidth;
    new ResizeObserver(() => {
      if (frame.clientWidth === width) return;
      width = frame.clientWidth;
      page.repaint();
    }).observe(frame);
  }
})();
