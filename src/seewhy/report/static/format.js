/* Numbers and classes in words. */
(function (seewhy) {
  "use strict";

  /** A number with three significant digits; what is not finite is said. */
  seewhy.number = function (value, digits = 3) {
    if (value === null || value === undefined) return "–";
    if (typeof value !== "number") return String(value);
    if (!Number.isFinite(value)) return Number.isNaN(value) ? "not a number" : value > 0 ? "∞" : "−∞";
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size >= 1e5 || size < 1e-3) return value.toExponential(digits - 1).replace("e+", "e").replace("-", "−").replace("e-", "e−");
    const text = size >= 100 && Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(digits)));
    return text.replace("-", "−");
  };

  /** A share in percent with one digit behind the point; all and nothing without. */
  seewhy.percent = function (value) {
    if (value === null || value === undefined || !Number.isFinite(value)) return "–";
    return value === 0 || value === 1 ? `${100 * value} %` : `${(100 * value).toFixed(1)} %`;
  };

  seewhy.count = function (value, what) {
    return `${value.toLocaleString("en")} ${what}${value === 1 ? "" : "s"}`;
  };

  /** A text that may be very long, cut where a table or a choice would burst; the whole of it as the title. */
  seewhy.clipped = function (text, most = 48) {
    const words = String(text);
    return [...words].length <= most ? { text: words } : { text: `${[...words].slice(0, most - 1).join("").trimEnd()}…`, title: words, className: "long" };
  };

  /** A class by its name, with its number where the name is not the number. */
  seewhy.className = function (index, names) {
    if (index === null || index === undefined) return "–";
    const name = names && names[index];
    if (name === undefined || name === null || name === "") return `class ${index}`;
    return String(name) === String(index) ? `class ${index}` : `${name} (${index})`;
  };

  /** A record's label where it is one of the model's classes, null where there is none or the data set has its own. */
  seewhy.ownLabel = function (record) {
    const known = record.right !== null || record.predicted === null || record.predicted === undefined;
    return known ? record.label ?? null : null;
  };

  /** What records without a right or wrong have in common. */
  seewhy.unjudged = (run) => (run && run.labels_match === false ? "no comparable label" : "no label");

  /** `mean [low, high]` of an interval as `metrics/summary.json` has it. */
  seewhy.interval = function (one) {
    if (!one || one.mean === null || one.mean === undefined) return "–";
    if (one.low === null || one.low === undefined) return seewhy.number(one.mean);
    return `${seewhy.number(one.mean)} [${seewhy.number(one.low)}, ${seewhy.number(one.high)}]`;
  };

  /** What a record came to, as a word, a sign and a style. */
  seewhy.outcome = function (record) {
    if (record.status === "failed") return { word: "failed", sign: "!", kind: "failed" };
    if (record.right === true) return { word: "right", sign: "✓", kind: "right" };
    if (record.right === false) return { word: "wrong", sign: "✗", kind: "wrong" };
    return { word: seewhy.ownLabel(record) === (record.label ?? null) ? "no label" : "not comparable", sign: "?", kind: "unlabelled" };
  };

  seewhy.badge = function (record) {
    const { word, sign, kind } = seewhy.outcome(record);
    return seewhy.el(
      "span",
      { className: `badge badge-${kind}` },
      seewhy.el("span", { "aria-hidden": "true", text: `${sign} ` }),
      word,
    );
  };
})((window.seewhy = window.seewhy || {}));
