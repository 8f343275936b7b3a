// The charts of a report: one shared axis of time, one cursor, fault bands across all of them.
// Text reaches the page through textContent only. Nothing is loaded.
(() => {
  "use strict";
  const root = document.documentElement;
  copyButton();
  const data = JSON.parse(document.getElementById("data").textContent);
  const charts = document.getElementById("charts");
  if (!charts || !data || !window.uPlot) return;

  const tip = document.getElementById("tip");
  const plots = [];
  const sync = uPlot.sync("run");
  let view = [0, data.end_s || 1];
  let colours = {};
  let active = null;

  const SERIES = {
    rate: [["in", "rate_in", "a"], ["out", "rate_out", "b"]],
    lag: [["true lag", "lag", "a"], ["committed lag", "committed", "b"]],
    latency: [["p50", "p50", "a"], ["p99", "p99", "b"], ["p99 from actual send", "p99_actual", "c"]],
  };

  function readColours() {
    const probe = document.createElement("i");
    document.body.append(probe);
    for (const name of ["ink", "soft", "rule", "paper", "a", "b", "c", "done", "gone", "band", "band-edge"]) {
      probe.style.color = `var(--${name})`;
      colours[name] = getComputedStyle(probe).color;
    }
    probe.remove();
  }

  // One unit for all ticks of an axis, taken from its largest.
  function ticks(_, values) {
    const most = Math.max(...values.map(v => Math.abs(v ?? 0)));
    const [size, unit] = most >= 1e9 ? [1e9, "G"] : most >= 1e6 ? [1e6, "M"] : most >= 1e4 ? [1e3, "k"] : [1, ""];
    return values.map(v => v == null ? null
      : v === 0 ? "0" : (v / size).toLocaleString("en", { maximumFractionDigits: 3 }) + unit);
  }
  const exact = v => v.toLocaleString("en", { maximumFractionDigits: Math.abs(v) < 100 ? 1 : 0 });

  // Fault bands, below the series; ids above the first chart where there is room for them.
  function drawBands(u) {
    const { ctx, bbox } = u;
    const px = devicePixelRatio || 1;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top - 14 * px, bbox.width, bbox.height + 14 * px);
    ctx.clip();
    ctx.font = `${11 * px}px ${getComputedStyle(document.body).fontFamily}`;
    ctx.textBaseline = "bottom";
    let free = -Infinity;
    for (const f of data.faults) {
      if (f.to < view[0] || f.from > view[1]) continue;
      const x0 = u.valToPos(f.from, "x", true);
      const width = Math.max(u.valToPos(f.to, "x", true) - x0, 2 * px);
      ctx.globalAlpha = f.landed ? 1 : 0.4;
      ctx.fillStyle = colours.band;
      ctx.fillRect(x0, bbox.top, width, bbox.height);
      ctx.fillStyle = colours["band-edge"];
      ctx.fillRect(x0, bbox.top, px, bbox.height);
      if (u === plots[0] && x0 >= free && x0 >= bbox.left) {
        ctx.fillText(f.id, x0, bbox.top - px);
        free = x0 + ctx.measureText(f.id).width + 8 * px;
      }
    }
    ctx.restore();
  }

  function drawDots(u, series) {
    const { ctx } = u;
    const px = devicePixelRatio || 1;
    const r = 3 * px;
    const completed = series === 1;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = completed ? colours.done : colours.gone;
    ctx.lineWidth = 1.75 * px;
    for (const c of data.checkpoints) {
      if (c.completed !== completed || c.t < view[0] || c.t > view[1]) continue;
      const x = u.valToPos(c.t, "x", true);
      const y = u.valToPos(c.ms ?? 0, "y", true);
      ctx.beginPath();
      if (completed) {
        ctx.arc(x, y, r, 0, 7);
        ctx.fill();
      } else {
        ctx.moveTo(x - r, y - r); ctx.lineTo(x + r, y + r);
        ctx.moveTo(x - r, y + r); ctx.lineTo(x + r, y - r);
        ctx.stroke();
      }
    }
    ctx.restore();
    return null;
  }

  function nearest(t) {
    const xs = data.t;
    let low = 0, high = xs.length - 1;
    while (low < high) {
      const mid = (low + high) >> 1;
      if (xs[mid] < t) low = mid + 1; else high = mid;
    }
    return low > 0 && t - xs[low - 1] < xs[low] - t ? low - 1 : low;
  }

  function add(tag, className, ...texts) {
    const line = document.createElement(tag);
    line.className = className;
    for (const text of texts) {
      const part = document.createElement("span");
      part.textContent = text;
      line.append(part);
    }
    tip.append(line);
  }

  function showTip(u) {
    const { left, top } = u.cursor;
    if (left == null || left < 0) { tip.hidden = true; return; }
    const t = u.posToVal(left, "x");
    const slack = 5 * (view[1] - view[0]) / u.over.clientWidth;
    tip.textContent = "";
    add("b", "", `${t.toFixed(2)} s`);
    if (data.t.length) {
      const i = nearest(t);
      for (const [chart, series] of Object.entries(SERIES)) {
        if (chart === "latency" && !charts.querySelector("[data-chart=latency]")) continue;
        for (const [name, key] of series) {
          const v = data[key][i];
          const shown = v == null ? "–" : chart === "latency" ? duration(v) : exact(v);
          add("div", "", name, v != null && chart === "rate" ? `${shown} /s` : shown);
        }
      }
    }
    const dots = data.checkpoints.filter(c => Math.abs(c.t - t) <= slack);
    for (const c of dots.slice(0, 3)) {
      const time = c.ms == null ? "" : `, ${duration(c.ms)}`;
      add("span", "dot", `chk-${c.id} ${c.completed ? "completed" : "aborted"}${time} (attempt ${c.attempt})`);
    }
    const bands = data.faults.filter(f => t >= f.from - slack && t <= f.to + slack);
    for (const f of bands.slice(0, 4)) add("span", "strike", f.landed ? f.label : `${f.label} (did not land)`);
    if (bands.length > 4) add("span", "strike", `and ${bands.length - 4} more faults`);
    tip.hidden = false;
    const over = u.over.getBoundingClientRect();
    const frame = charts.getBoundingClientRect();
    const x = over.left - frame.left + left;
    const flip = x + tip.offsetWidth + 24 > frame.width;
    tip.style.left = `${Math.max(0, flip ? x - tip.offsetWidth - 14 : x + 14)}px`;
    tip.style.top = `${over.top - frame.top + Math.max(0, Math.min(top, over.height - 40))}px`;
  }

  function zoom(min, max) {
    view = [min, max];
    for (const plot of plots) plot.setScale("x", { min, max });
  }

  const duration = ms => (ms >= 1000 ? `${exact(ms / 1000)} s` : ms < 1 ? `${exact(ms * 1000)} µs` : `${exact(ms)} ms`);

  // A logarithmic axis of time: one line for each power of ten.
  const powers = u => {
    const at = [];
    for (let v = u.scales.y.min; v <= u.scales.y.max * 1.001; v *= 10) at.push(+v.toPrecision(1));
    return at;
  };
  const logarithmic = { splits: powers, values: (_, at) => at.map(duration), filter: (_, at) => at };

  function fromZero(_, min, max) {
    const low = Math.min(0, min ?? 0), high = Math.max(max ?? 1, 1);
    return [low < 0 ? low * 1.1 : 0, high * 1.08];
  }

  function decades(_, min, max) {
    const low = 10 ** Math.floor(Math.log10(Math.max(min ?? 1, 0.001)));
    return [low, Math.max(10 ** Math.ceil(Math.log10(Math.max(max ?? 1, 0.001))), low * 10)];
  }

  function options(kind, width) {
    const dots = kind === "checkpoints";
    const axis = { stroke: () => colours.soft, grid: { stroke: () => colours.rule, width: 1 },
      ticks: { show: false }, font: `12px ${getComputedStyle(document.body).fontFamily}` };
    const series = dots
      ? [1, 2].map(() => ({ paths: drawDots, points: { show: false } }))
      : SERIES[kind].map(([label, , colour]) => ({ label, stroke: () => colours[colour], width: 1.5,
          points: { show: false }, spanGaps: false }));
    return {
      width, height: dots ? 150 : kind === "rate" ? 210 : 180, padding: [16, 8, 0, 0],
      legend: { show: false },
      scales: {
        x: { time: false, range: () => view },
        y: kind === "latency" ? { distr: 3, range: decades } : { range: fromZero },
      },
      axes: [
        { ...axis, size: 28, values: (_, at) => at.map(v => `${+v.toFixed(3)} s`), space: 70 },
        { ...axis, size: width < 520 ? 52 : 58, gap: 6, values: ticks, space: 34, ...(kind === "latency" && logarithmic) },
      ],
      series: [{}, ...series],
      cursor: {
        y: false, points: { show: !dots, size: 6 },
        drag: { x: true, y: false, setScale: false },
        sync: { key: "run", setSeries: false, scales: ["x", null] },
        bind: { dblclick: () => () => { zoom(0, data.end_s || 1); return null; } },
      },
      hooks: {
        drawClear: [drawBands],
        setSelect: [u => {
          if (u.select.width < 6) return;
          const [from, to] = [u.select.left, u.select.left + u.select.width];
          zoom(u.posToVal(from, "x"), u.posToVal(to, "x"));
          for (const plot of plots) plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        }],
        setCursor: [u => { if (u === active) showTip(u); }],
      },
    };
  }

  function columns(kind) {
    if (kind !== "checkpoints") {
      const least = v => (v == null || kind !== "latency" ? v : Math.max(v, 0.001));
      return [data.t, ...SERIES[kind].map(([, key]) => data[key].map(least))];
    }
    const rows = [...data.checkpoints].sort((l, r) => l.t - r.t);
    const pick = done => rows.map(c => (c.completed === done ? c.ms ?? 0 : null));
    return [rows.map(c => c.t), pick(true), pick(false)];
  }

  function draw() {
    readColours();
    for (const plot of plots.splice(0)) plot.destroy();
    for (const frame of charts.querySelectorAll(".chart")) {
      const kind = frame.dataset.chart;
      const plot = new uPlot(options(kind, frame.clientWidth), columns(kind), (u, init) => {
        plots.push(u);
        frame.append(u.root);
        init();
      });
      plot.over.addEventListener("mouseenter", () => { active = plot; });
      plot.over.addEventListener("mouseleave", () => { active = null; tip.hidden = true; });
      sync.sub(plot);
    }
  }

  draw();
  let width = charts.clientWidth;
  new ResizeObserver(() => {
    if (charts.clientWidth === width) return;
    width = charts.clientWidth;
    for (const plot of plots) {
      const frame = plot.root.parentElement;
      plot.setSize({ width: frame.clientWidth, height: plot.height });
    }
  }).observe(charts);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  new MutationObserver(draw).observe(root, { attributeFilter: ["data-theme"] });

  // On paper: light colours, the paper's width, every check unfolded.
  let before = null;
  addEventListener("beforeprint", () => {
    before = { theme: root.dataset.theme, folded: [...document.querySelectorAll("details.check:not([open])")] };
    root.dataset.theme = "light";
    for (const check of before.folded) check.open = true;
    charts.style.width = "680px";
    draw();
  });
  addEventListener("afterprint", () => {
    if (!before) return;
    if (before.theme) root.dataset.theme = before.theme; else delete root.dataset.theme;
    for (const check of before.folded) check.open = false;
    charts.style.width = "";
    before = null;
    draw();
  });

  function copyButton() {
    const button = document.getElementById("copy");
    const command = document.getElementById("command");
    if (!button || !command) return;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const range = document.createRange();
      range.selectNodeContents(command);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      try {
        await navigator.clipboard.writeText(command.textContent);
      } catch {
        document.execCommand("copy");
      }
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1600);
    });
  }
})();
