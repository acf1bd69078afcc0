/* Small charts as SVG: a histogram of values, and how sure a model was when right and when wrong. */
(function (seewhy) {
  "use strict";

  const WIDTH = 480;
  const HEIGHT = 150;
  const FOOT = 22;
  const HEAD = 22; // room for a count, on a phone too

  function text(words, x, anchor, y) {
    return seewhy.svg("text", { x, y: y ?? HEIGHT + FOOT - 6, "text-anchor": anchor, className: "chart-text", text: words });
  }

  function chart(label, ...children) {
    return seewhy.svg(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT + FOOT}`, role: "img", "aria-label": label, className: "chart" },
      seewhy.svg("title", { text: label }),
      ...children,
    );
  }

  function column(place, of, from, to, most, className) {
    const width = WIDTH / of;
    const high = (HEIGHT - HEAD) * (to / most);
    const low = (HEIGHT - HEAD) * (from / most);
    const gap = Math.min(2, width / 6);
    return seewhy.svg("rect", {
      x: (place * width + gap / 2).toFixed(2), y: (HEIGHT - high).toFixed(2), width: (width - gap).toFixed(2),
      height: Math.max(0, high - low).toFixed(2), className,
    });
  }

  function axis() {
    return seewhy.svg("line", { x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT, className: "chart-axis" });
  }

  /** Counts of raw values between edges, and a mark at zero where it lies within. */
  seewhy.histogram = function (found, label, unit) {
    const { edges, counts } = found;
    const most = Math.max(1, ...counts);
    const [low, high] = [edges[0], edges[edges.length - 1]];
    const bars = counts.map((count, place) => (count ? column(place, counts.length, 0, count, most, "chart-bar") : null));
    const zero = low < 0 && high > 0 ? (WIDTH * -low) / (high - low) : null;
    const mark = zero === null ? null : seewhy.svg("line", { x1: zero, x2: zero, y1: 0, y2: HEIGHT, className: "chart-zero" });
    const parts = [text(seewhy.number(low), 0, "start"), text(unit, WIDTH / 2, "middle"), text(seewhy.number(high), WIDTH, "end")];
    return chart(label, ...bars, mark, axis(), text(seewhy.count(most, "cell"), 0, "start", HEAD - 5), ...parts);
  };

  /** Records by the probability of the predicted class, those that were right below those that were wrong. */
  seewhy.confidenceChart = function (found, run) {
    const layers = [["right", "right"], ["wrong", "wrong"], ["unlabelled", seewhy.unjudged(run)]];
    const present = layers.filter(([key]) => (found[key] || []).some((count) => count > 0));
    if (!present.length) return null;
    const bins = found.edges.length - 1;
    const totals = [...Array(bins).keys()].map((bin) => present.reduce((sum, [key]) => sum + found[key][bin], 0));
    const most = Math.max(1, ...totals);
    const bars = [];
    for (let bin = 0; bin < bins; bin += 1) {
      let base = 0;
      for (const [key] of present) {
        if (found[key][bin]) bars.push(column(bin, bins, base, base + found[key][bin], most, `chart-${key}`));
        base += found[key][bin];
      }
    }
    const label = `Confidence of ${seewhy.count(totals.reduce((sum, one) => sum + one, 0), "record")}`;
    const ends = [text("0 %", 0, "start"), text("probability of the predicted class", WIDTH / 2, "middle"), text("100 %", WIDTH, "end")];
    const key = present.map(([kind, words]) =>
      seewhy.el("li", {}, seewhy.el("span", { className: `swatch swatch-${kind}`, "aria-hidden": "true" }), words));
    return seewhy.el(
      "figure",
      { className: "chart-frame" },
      chart(label, ...bars, axis(), text(seewhy.count(most, "record"), 0, "start", HEAD - 5), ...ends),
      seewhy.el("ul", { className: "key" }, key),
    );
  };
})((window.seewhy = window.seewhy || {}));
