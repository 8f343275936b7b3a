// The charts over time: one shared axis, one cursor, fault bands across all of them.
(() => {
  "use strict";
  const { data, colours, exact, duration, bytes } = page;
  const charts = document.getElementById("charts");
  if (!charts || !window.uPlot) return;

  const tip = document.getElementById("tip");
  const plots = [];
  const sync = uPlot.sync("run");
  const whole = [0, data.end_s || 1];
  let view = whole;
  let active = null;
  const checkpoints = [...data.checkpoints].sort((l, r) => l.t - r.t);
  const completed = checkpoints.filter(c => c.ms != null && c.completed);

  // Name, column, colour, dashes.
  const SERIES = {
    rate: [["in", "rate_in", "a"], ["out", "rate_out", "b"]],
    lag: [["true lag", "lag", "a"], ["committed lag", "committed", "b"]],
    latency: [["p50", "p50", "a"], ["p99", "p99", "b"],
      ["p50 from actual send", "p50_actual", "a", [3, 3]], ["p99 from actual send", "p99_actual", "b", [3, 3]]],
  };
  const PARTS = [["trigger to durable", "ms", "ink"], ["start delay", "delay", "p1"], ["alignment", "align", "p2"],
    ["sync", "sync", "p3"], ["async", "async", "p4"]];
  const SIZES = [["state", "state", "a"], ["of it in flight", "flight", "b"]];
  const RECOVERY = ["detect", "restart", "restore", "first output", "drained"];

  const KINDS = {
    rate: { height: 210 },
    lag: { height: 180 },
    latency: { height: 190, log: true },
    recovery: { height: 92, bare: true },
    checkpoints: { height: 190, log: true, events: PARTS },
    size: { height: 140, events: SIZES, incrs: Array.from({ length: 45 }, (_, n) => 2 ** n),
      values: (_, at) => at.map(v => (v == null ? null : bytes(v))) },
  };

  // One unit for all ticks of an axis, taken from its largest.
  function ticks(_, values) {
    const most = Math.max(...values.map(v => Math.abs(v ?? 0)));
    const [size, unit] = most >= 1e9 ? [1e9, "G"] : most >= 1e6 ? [1e6, "M"] : most >= 1e4 ? [1e3, "k"] : [1, ""];
    return values.map(v => v == null ? null
      : v === 0 ? "0" : (v / size).toLocaleString("en", { maximumFractionDigits: 3 }) + unit);
  }

  // Fault bands, below the series; ids above the first chart where there is room for them.
  function drawBands(u) {
    const { ctx, bbox } = u;
    const px = devicePixelRatio || 1;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top - 14 * px, bbox.width, bbox.height + 14 * px);
    ctx.clip();
    ctx.font = page.font(11 * px);
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

  // Checkpoints that did not complete: a cross at the foot of the chart.
  function drawAborted(u) {
    const { ctx, bbox } = u;
    const px = devicePixelRatio || 1;
    const r = 3 * px;
    const y = bbox.top + bbox.height - 7 * px;
    ctx.save();
    ctx.strokeStyle = colours.gone;
    ctx.lineWidth = 1.75 * px;
    for (const c of checkpoints) {
      if (c.completed || c.t < view[0] || c.t > view[1]) continue;
      const x = u.valToPos(c.t, "x", true);
      ctx.beginPath();
      ctx.moveTo(x - r, y - r); ctx.lineTo(x + r, y + r);
      ctx.moveTo(x - r, y + r); ctx.lineTo(x + r, y - r);
      ctx.stroke();
    }
    ctx.restore();
  }

  // Above: from the strike to the first output, part by part. Below: until the lag was back.
  function drawRecoveries(u) {
    const { ctx, bbox } = u;
    const px = devicePixelRatio || 1;
    const lane = (bbox.height - 6 * px) / 2;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const r of data.recoveries) {
      let at = r.from;
      r.ms.forEach((ms, part) => {
        if (ms == null) return;
        const x0 = u.valToPos(at, "x", true);
        const x1 = u.valToPos(at += ms / 1000, "x", true);
        ctx.fillStyle = colours[`p${part + 1}`];
        const top = bbox.top + 2 * px + (part === 4 ? lane + 2 * px : 0);
        ctx.fillRect(x0, top, Math.max(x1 - x0, px), lane);
      });
    }
    ctx.restore();
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

  function samples(t) {
    const lines = [];
    const i = nearest(t);
    for (const [chart, series] of Object.entries(SERIES)) {
      if (!charts.querySelector(`[data-chart=${chart}]`)) continue;
      for (const [name, key] of series) {
        const v = data[key][i];
        const shown = v == null ? "–" : chart === "latency" ? duration(v) : exact(v);
        lines.push(["", name, v != null && chart === "rate" ? `${shown} /s` : shown]);
      }
    }
    return lines;
  }

  function showTip(u) {
    const { left, top } = u.cursor;
    if (left == null || left < 0) { tip.hidden = true; return; }
    const t = u.posToVal(left, "x");
    const slack = 5 * (view[1] - view[0]) / u.over.clientWidth;
    const lines = data.t.length ? samples(t) : [];
    for (const c of checkpoints.filter(c => Math.abs(c.t - t) <= slack).slice(0, 3)) {
      const why = c.why ? `: ${c.why}` : "";
      const time = c.ms == null ? "" : `, ${duration(c.ms)}`;
      lines.push(["dot", `chk-${c.id} ${c.completed ? "completed" : "aborted"}${time} (attempt ${c.attempt})${why}`]);
      if (!c.completed) continue;
      for (const [name, key] of PARTS.slice(1)) lines.push(["", name, c[key] == null ? "–" : duration(c[key])]);
      lines.push(["", "size", `${bytes(c.state)}, ${bytes(c.flight)} in flight`]);
    }
    for (const r of data.recoveries) {
      const last = r.from + r.ms.reduce((sum, ms) => sum + (ms ?? 0), 0) / 1000;
      if (t < r.from - slack || t > last + slack) continue;
      const told = r.ms.map((ms, part) => (ms == null ? null : `${RECOVERY[part]} ${duration(ms)}`)).filter(Boolean);
      lines.push(["dot", `recovery to attempt ${r.attempt}: ${told.join(", ")}`]);
    }
    const bands = data.faults.filter(f => t >= f.from - slack && t <= f.to + slack);
    for (const f of bands.slice(0, 4)) lines.push(["strike", f.landed ? f.label : `${f.label} (did not land)`]);
    if (bands.length > 4) lines.push(["strike", `and ${bands.length - 4} more faults`]);
    const over = u.over.getBoundingClientRect();
    const frame = charts.getBoundingClientRect();
    const y = over.top - frame.top + Math.max(0, Math.min(top, over.height - 40));
    page.note(tip, charts, over.left - frame.left + left, y, `${t.toFixed(2)} s`, lines);
  }

  function zoom(min, max) {
    view = [min, max];
    for (const plot of plots) plot.setScale("x", { min, max });
  }

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

  function series(kind) {
    const { bare, events } = KINDS[kind];
    if (bare) return [{ paths: () => null, points: { show: false } }];
    if (!events) {
      return SERIES[kind].map(([label, , colour, dash]) => ({ label, stroke: () => colours[colour], width: 1.5, dash,
        points: { show: false }, spanGaps: false }));
    }
    return events.map(([label, , colour]) => ({ label, stroke: () => colours[colour], width: 1, spanGaps: true,
      points: { show: true, size: 5, fill: () => colours[colour] } }));
  }

  function options(kind, width) {
    const { height, log, bare, events, values, incrs } = KINDS[kind];
    const axis = { stroke: () => colours.soft, grid: { stroke: () => colours.rule, width: 1 },
      ticks: { show: false }, font: page.font(12) };
    const y = bare
      ? { ...axis, grid: { show: false }, splits: () => [0.25, 0.75], values: () => ["drain", "outage"] }
      : { ...axis, values: values ?? ticks, space: 34, ...(incrs && { incrs }), ...(log && logarithmic) };
    return {
      width, height, padding: [16, 16, 0, 0],
      legend: { show: false },
      scales: {
        x: { time: false, range: () => view },
        y: bare ? { range: () => [0, 1] } : log ? { distr: 3, range: decades } : { range: fromZero },
      },
      axes: [
        { ...axis, size: 28, values: (_, at) => at.map(v => `${+v.toFixed(3)} s`), space: 70 },
        { ...y, size: width < 520 ? 54 : 62, gap: 6 },
      ],
      series: [{}, ...series(kind)],
      cursor: {
        y: false, points: { show: !bare && !events, size: 6 },
        drag: { x: true, y: false, setScale: false },
        sync: { key: "run", setSeries: false, scales: ["x", null] },
        bind: { dblclick: () => () => { zoom(...whole); return null; } },
      },
      hooks: {
        drawClear: [drawBands],
        draw: [u => {
          if (kind === "recovery") drawRecoveries(u);
          if (kind === "checkpoints") drawAborted(u);
        }],
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
    const { bare, events, log } = KINDS[kind];
    if (bare) return [whole, [null, null]];
    // What took no time at all stands at the foot of a logarithmic axis.
    const least = v => (v == null || !log ? v : Math.max(v, events ? 0.1 : 0.001));
    if (!events) return [data.t, ...SERIES[kind].map(([, key]) => data[key].map(least))];
    return [completed.map(c => c.t), ...events.map(([, key]) => completed.map(c => least(c[key])))];
  }

  const paperWidth = 680;
  const widthOf = frame => (document.documentElement.classList.contains("paper") ? paperWidth : frame.clientWidth);

  page.paint(() => {
    for (const plot of plots.splice(0)) plot.destroy();
    for (const frame of charts.querySelectorAll(".chart")) {
      const kind = frame.dataset.chart;
      const plot = new uPlot(options(kind, widthOf(frame)), columns(kind), (u, init) => {
        plots.push(u);
        frame.append(u.root);
        init();
      });
      plot.over.addEventListener("mouseenter", () => { active = plot; });
      plot.over.addEventListener("mouseleave", () => { active = null; tip.hidden = true; });
      sync.sub(plot);
    }
  });

  let width = charts.clientWidth;
  new ResizeObserver(() => {
    if (charts.clientWidth === width) return;
    width = charts.clientWidth;
    for (const plot of plots) plot.setSize({ width: widthOf(plot.root.parentElement), height: plot.height });
  }).observe(charts);
})();
