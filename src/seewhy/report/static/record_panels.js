/* What is said beside the pictures of a record: classes, numbers of a map, where the input lies, notes and files. */
(function (seewhy) {
  "use strict";

  function bar(share) {
    const inner = seewhy.el("span", { className: "bar-fill", style: { width: `${Math.max(0, Math.min(1, share)) * 100}%` } });
    return seewhy.el("span", { className: "bar", "aria-hidden": "true" }, inner);
  }

  seewhy.shareCell = function (share) {
    return seewhy.el("span", { className: "share" }, bar(share), seewhy.percent(share));
  };

  /** The most probable classes. */
  seewhy.topClasses = function (record, run) {
    if (!record.top || !record.top.length) return null;
    const rows = record.top.map(([index, probability], place) =>
      [String(place + 1), seewhy.classRole(record, index, run.class_names), seewhy.shareCell(probability)]);
    return seewhy.table("Most probable classes", ["Rank", "Class", "Probability"], rows);
  };

  const STATISTICS = [
    ["mean", "Mean"], ["std", "Standard deviation"], ["min", "Lowest"], ["max", "Highest"],
    ["sparsity", "Exact zeros"], ["near_zero", "Near zero"], ["nonfinite", "Not finite"],
  ];

  /** The numbers of a raw map, and their histogram: of the raw values where the page has it, else of its codes. */
  seewhy.mapStatistics = function (map, title, input) {
    if (!map || !map.statistics) return null;
    const told = (key, value) => (key === "sparsity" || key === "near_zero" ? seewhy.percent(value) : seewhy.number(value));
    const rows = STATISTICS.filter(([key]) => key in map.statistics).map(([key, word]) => [word, told(key, map.statistics[key])]);
    if (map.statistics.count) rows.push(["Cells of the whole map", map.statistics.count.toLocaleString("en")]);
    rows.push(["Cells on this page", `${map.tiles > 1 ? `${map.tiles} × ` : ""}${map.height} × ${map.width}`]);
    const unit = map.unit || "raw value";
    const caption = `Numbers of the raw map: ${title}`;
    const found = map.histogram || seewhy.countsOf(map);
    const drawn = found ? seewhy.histogram(found, `Histogram of the raw map: ${title}`, unit) : null;
    const part = input && seewhy.partly(input) ? `, of the ${seewhy.count(input.tiles, input.kind.slice(0, -1))} shown out of ${input.of}` : "";
    const rounded = drawn && !map.histogram ? seewhy.el("p", { className: "quiet", text: `The histogram is counted from the values of this page${part}; they are rounded to 127 steps of the peak.${part ? " The measures above are of the whole map." : ""}` }) : null;
    return seewhy.el("div", {}, seewhy.table(caption, ["Measure", "Value"], rows, { numeric: [1] }), drawn, rounded);
  };

  const AXES = {
    1: "the axis runs along the signal",
    2: "axes from the top, then from the left",
    3: "axes: slices or frames, then from the top, then from the left",
  };

  /** Where the model's input lies on the original; of several inputs a record keeps one geometry where all share it. */
  seewhy.geometryPanel = function (geometry, inputs = []) {
    if (!geometry) {
      const none = "This record keeps no geometry: its inputs do not share one, and a record keeps one for all.";
      return inputs.length > 1 ? seewhy.el("div", {}, seewhy.el("h3", { text: "Geometry" }), seewhy.el("p", { className: "quiet", text: none })) : null;
    }
    const size = (axes) => axes.map((length) => seewhy.number(length)).join(" × ");
    const pairs = [["Original", size(geometry.original)], ["Model's input", size(geometry.input)],
      ["Scale by axis", geometry.scale.map((one) => seewhy.number(one)).join(", ")],
      ["Offset by axis", `${geometry.offset.map((one) => seewhy.number(one)).join(", ")} pixels`]];
    return seewhy.el("div", {}, seewhy.el("h3", { text: "Geometry" }), seewhy.factList(pairs),
      seewhy.el("p", { className: "quiet", text: `input = original × scale − offset; ${AXES[geometry.input.length] || "axes in the order of the input"}${inputs.length > 1 ? ". It holds for every input" : ""}` }));
  };

  /** Of several inputs, each one's part of the evidence by class. */
  seewhy.sharesPanel = function (shares, run) {
    if (!shares || !shares.length) return null;
    const inputs = [...new Set(shares.flatMap((one) => Object.keys(one.shares)))];
    const rows = shares.map((one) => [seewhy.className(one.class, run.class_names), ...inputs.map((name) => seewhy.percent(one.shares[name]))]);
    return seewhy.table("Each input's share of the evidence", ["Class", ...inputs], rows, { numeric: inputs.map((_, place) => place + 1) });
  };

  seewhy.notesPanel = function (notes) {
    if (!notes || !notes.length) return null;
    return seewhy.el("div", {}, seewhy.el("h3", { text: "Notes" }),
      seewhy.el("ul", {}, notes.map((note) => seewhy.el("li", { text: note }))));
  };

  /** Links to a record's own files; an address that leaves the folder is shown as text. */
  seewhy.filesPanel = function (files) {
    if (!files || !files.length) return null;
    const line = function (file) {
      const href = seewhy.safeHref(file.href);
      const name = String(file.href).split("/").pop();
      return seewhy.el("li", {}, `${file.kind}: `, href ? seewhy.el("a", { href, text: name }) : seewhy.el("span", { text: name }));
    };
    return seewhy.el("div", {}, seewhy.el("h3", { text: "Files" }), seewhy.el("ul", { className: "files" }, files.map(line)));
  };
})((window.seewhy = window.seewhy || {}));
