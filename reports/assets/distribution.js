// The percentile plot: latency over ever rarer quantiles, as HdrHistogram's tools draw it.
(() => {
  "use strict";
  const { data, colours, duration } = page;
  const frame = document.getElementById("percentiles");
  if (!frame || !data.curve || !window.uPlot) return;

  // Nines on the axis: 0 is every record, 1 is 90 %, 2 is 99 %; the maximum stands at the right.
  const tip = document.getElementById("percentile-tip");
  const known = [...data.curve.intended, ...data.curve.actual].filter(p => p[0] < 1);
  const end = Math.ceil(Math.max(1, ...known.map(p => -Math.log10(1 - p[0]))) * 4) / 4;
  const nines = q => (q >= 1 ? end : -Math.log10(1 - q));
  const name = x => (x <= 0 ? "0 %" : `${+(100 * (1 - 10 ** -x)).toFixed(Math.max(0, Math.ceil(x) - 1))} %`);
  const xs = [...new Set([...data.curve.intended, ...data.curve.actual].map(p => nines(p[0])))].sort((l, r) => l - r);
  const column = points => {
    const at = new Map(points.map(p => [nines(p[0]), p[1] / 1000]));
    return xs.map(x => at.get(x) ?? null);
  };
  const columns = [xs, column(data.curve.intended), column(data.curve.actual)];
  const SERIES = [["from intended send", "a"], ["from actual send", "b"]];
  let plot = null;

  const valueAt = (series, x) => {
    for (let i = 0; i < xs.length; i++) if (xs[i] >= x - 1e-9 && columns[series][i] != null) return columns[series][i];
    return null;
  };

  function show(u) {
    const { left, top } = u.cursor;
    if (left == null || left < 0) { tip.hidden = true; return; }
    const x = Math.min(Math.max(u.posToVal(left, "x"), 0), end);
    const lines = SERIES.map(([label], n) => {
      const v = valueAt(n + 1, x);
      return ["", label, v == null ? "–" : duration(v)];
    });
    const over = u.over.getBoundingClientRect(), at = frame.getBoundingClientRect();
    page.note(tip, frame, over.left - at.left + left, Math.max(0, Math.min(top, over.height - 40)), name(x), lines);
  }

  const widthOf = () => (document.documentElement.classList.contains("paper") ? 680 : frame.clientWidth);
  function options() {
    const axis = { stroke: () => colours.soft, grid: { stroke: () => colours.rule, width: 1 },
      ticks: { show: false }, font: page.font(12) };
    const whole = [];
    for (let x = 0; x <= end + 1e-9; x++) whole.push(x);
    const powers = u => {
      const at = [];
      for (let v = u.scales.y.min; v <= u.scales.y.max * 1.001; v *= 10) at.push(+v.toPrecision(1));
      return at;
    };
    return {
      width: widthOf(), height: 260, padding: [12, 24, 0, 0], legend: { show: false },
      scales: {
        x: { time: false, range: () => [0, end] },
        y: { distr: 3, range: (_, min, max) => {
          const low = 10 ** Math.floor(Math.log10(Math.max(min ?? 1, 0.001)));
          return [low, Math.max(10 ** Math.ceil(Math.log10(Math.max(max ?? 1, 0.001))), low * 10)];
        } },
      },
      axes: [
        { ...axis, size: 28, splits: () => whole, values: (_, at) => at.map(name), filter: (_, at) => at },
        { ...axis, size: 62, gap: 6, splits: powers, values: (_, at) => at.map(duration), filter: (_, at) => at },
      ],
      series: [{}, ...SERIES.map(([label, colour]) => ({ label, stroke: () => colours[colour], width: 2, spanGaps: true,
        points: { show: false } }))],
      cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
      hooks: { setCursor: [show] },
    };
  }

  page.paint(() => {
    if (plot) plot.destroy();
    plot = new uPlot(options(), columns, frame);
    plot.over.addEventListener("mouseleave", () => { tip.hidden = true; });
  });
  new ResizeObserver(() => {
    if (plot && plot.width !== widthOf()) plot.setSize({ width: widthOf(), height: plot.height });
  }).observe(frame);
})();
