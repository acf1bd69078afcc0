/* Methods and controls side by side: what was asked, and how good the answers are. */
(function (seewhy) {
  "use strict";

  const ARROWS = { higher: "↑", lower: "↓" };

  function graded(split, name, found, controls, several) {
    const metrics = Object.entries(found.metrics || {});
    if (!metrics.length) return null;
    const who = [...new Set(metrics.flatMap(([, metric]) => Object.keys(metric.all)))];
    who.sort((one, other) => Number(controls.includes(one)) - Number(controls.includes(other)));
    const head = ["Map", ...metrics.map(([metric, told]) => `${metric} ${ARROWS[told.better] || ""}`.trim()), "Passes"];
    const rows = who.map((one) => [
      seewhy.el("span", {}, one, controls.includes(one) ? seewhy.el("em", { className: "quiet", text: " control" }) : ""),
      ...metrics.map(([, metric]) => seewhy.interval(metric.all[one])),
      seewhy.number((found.passes || {})[one]),
    ]);
    const numeric = head.map((_, place) => place).slice(1);
    const missing = Object.entries(found.missing || {}).flatMap(([metric, whys]) =>
      Object.entries(whys).map(([why, count]) => `${metric}: no value of ${seewhy.count(count, "record")}, ${why}`));
    const caption = `${several ? `${split}, ${name}` : split}: mean over ${seewhy.count(found.records, "record")} [95 % interval]`;
    return seewhy.el("section", { className: "panel" }, seewhy.table(caption, head, rows, { numeric }),
      missing.length ? seewhy.el("ul", { className: "quiet" }, missing.map((line) => seewhy.el("li", { text: line }))) : null);
  }

  /** A check of sanity with what decided it. */
  function sanityOf(each) {
    const value = each.value && typeof each.value.mean === "number" ? ` (${each.measure || "value"} ${seewhy.interval(each.value)}${each.control ? `; ${each.control}: ${seewhy.number(each.control_value)}` : ""})` : "";
    return `${each.metric}: ${each.state}${value}`;
  }

  /** Where a verdict judges a metric otherwise than the tables of means show it. */
  function magnitudes(run) {
    const checks = (run.verdicts || []).flatMap((one) => ((one.verdict || one).ranking || []).flatMap((row) => row.sanity || []));
    const names = [...new Set(checks.filter((each) => /magnitude/.test(each.measure || "")).map((each) => each.metric))];
    const graded = names.filter((name) => Object.values((run.grades || {}).splits || {}).some((inputs) => Object.values(inputs).some((found) => name in (found.metrics || {}))));
    return graded.length ? seewhy.el("p", { className: "quiet magnitudes", text: `${graded.join(", ")}: means here keep the sign of each record's similarity; the verdict judges its magnitude, since an inverted copy of a map is still the same map. The checks of sanity below show both the magnitude and what a control reaches.` }) : null;
  }

  function standings(one) {
    const verdict = one.verdict || one;
    const rows = (verdict.ranking || []).map((row) => [row.method, row.standing,
      seewhy.el("span", { text: (row.sanity || []).map(sanityOf).join("; ") || "–" }), seewhy.number(row.cost)]);
    if (!rows.length) return null;
    const about = one.several ? `${one.split}, ${one.input}` : one.split;
    return seewhy.el("section", { className: "panel" }, seewhy.table(`${about}: standing of each method`, ["Method", "Standing", "Checks of sanity", "Passes"], rows, { numeric: [3] }));
  }

  /** What was asked of every record, the grades of methods beside controls, and the methods' standing. */
  seewhy.methodsView = function (container, run) {
    const asked = (run.questions || []).map((one) => [one.key, one.kind, one.method || "–", one.layer || "–", one.input || "–"]);
    const not = Object.entries(run.not_applicable || {});
    const grades = run.grades || {};
    const tables = Object.entries(grades.splits || {}).flatMap(([split, inputs]) =>
      Object.entries(inputs).map(([name, found]) => graded(split, name, found, grades.controls || [], Object.keys(inputs).length > 1)));
    seewhy.replace(
      container,
      seewhy.el("h2", { text: "Methods", tabindex: "-1" }),
      (asked.length || not.length) && seewhy.el("section", { className: "panel" },
        asked.length ? seewhy.table("What was asked of every record", ["Question", "Kind", "Method", "Layer", "Input"], asked) : null,
        not.length ? seewhy.el("ul", {}, not.map(([kind, why]) => seewhy.el("li", { text: `${kind} was not asked: ${why}` }))) : null),
      tables.length
        ? seewhy.el("p", { className: "quiet", text: "Controls are maps that know nothing of the model (noise, a spot in the middle, the picture's edges): a method says something only where it is better than they are. ↑ higher is better, ↓ lower is better." })
        : seewhy.el("p", { className: "empty" }, seewhy.prose("Nothing was graded in this run. `seewhy evaluate` grades methods beside controls.")),
      ...tables,
      magnitudes(run),
      ...(run.verdicts || []).map(standings),
    );
  };
})((window.seewhy = window.seewhy || {}));
