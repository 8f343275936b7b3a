// Two runs over the same axis of time, each from its own start.
(() => {
  "use strict";
  const { data, colours, exact, duration } = page;
  const charts = document.getElementById("charts");
  if (!charts || !window.uPlot || !data.a || !data.b) return;
  const tip = document.getElementById("tip");
  const end = Math.max(...[data.a, data.b].map(side => side.t.at(-1) ?? 1));
  const sync = uPlot.sync("compare");
  const KINDS = { rate: exact, lag: exact, p99: duration };
  const plots = [];
  let active = null;

  function show(u, kind) {
    const { left, top, idx } = u.cursor;
    if (left == null || left < 0 || idx == null) { tip.hidden = true; return; }
    const value = n => { const v = u.data[n][idx]; return v == null ? "–" : KINDS[kind](v); };
    const over = u.over.getBoundingClientRect(), frame = charts.getBoundingClientRect();
    const y = over.top - frame.top + Math.max(0, Math.min(top, over.height - 40));
    page.note(tip, charts, over.left - frame.left + left, y, `${u.data[0][idx].toFixed(2)} s`,
      [["", "A", value(1)], ["", "B", value(2)]]);
  }

  const widthOf = frame => (document.documentElement.classList.contains("paper") ? 680 : frame.clientWidth);
  function options(kind, width) {
    const axis = { stroke: () => colours.soft, grid: { stroke: () => colours.rule, width: 1 },
      ticks: { show: false }, font: page.font(12) };
    const log = kind === "p99";
    const powers = u => {
      const at = [];
      for (let v = u.scales.y.min; v <= u.scales.y.max * 1.001; v *= 10) at.push(+v.toPrecision(1));
      return at;
    };
    return {
      width, height: 190, padding: [12, 20, 0, 0], legend: { show: false },
      scales: {
        x: { time: false, range: () => [0, end] },
        y: log
          ? { distr: 3, range: (_, min, max) => [10 ** Math.floor(Math.log10(Math.max(min ?? 1, 0.001))),
            10 ** Math.ceil(Math.log10(Math.max(max ?? 10, 0.01)))] }
          : { range: (_, min, max) => [Math.min(0, min ?? 0), Math.max(max ?? 1, 1) * 1.08] },
      },
      axes: [
        { ...axis, size: 28, values: (_, at) => at.map(v => `${+v.toFixed(3)} s`), space: 70 },
        { ...axis, size: 62, gap: 6, values: (_, at) => at.map(v => (v == null ? null : KINDS[kind](v))),
          ...(log && { splits: powers, filter: (_, at) => at }) },
      ],
      series: [{}, ...["a", "b"].map(side => ({ label: side, stroke: () => colours[side], width: 1.5, spanGaps: !log,
        points: { show: false } }))],
      cursor: { y: false, drag: { x: false, y: false }, points: { show: false },
        sync: { key: "compare", setSeries: false, scales: ["x", null] } },
      hooks: { setCursor: [u => { if (u === active) show(u, kind); }] },
    };
  }

  page.paint(() => {
    for (const plot of plots.splice(0)) plot.destroy();
    for (const frame of charts.querySelectorAll(".chart")) {
      const kind = frame.dataset.chart;
      const columns = uPlot.join([data.a, data.b].map(side => [side.t, side[kind]]));
      const plot = new uPlot(options(kind, widthOf(frame)), columns, frame);
      plots.push(plot);
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
