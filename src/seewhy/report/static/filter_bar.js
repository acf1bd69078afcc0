/* The controls above the records. */
(function (seewhy) {
  "use strict";

  const RESULTS = [["", "any"], ["wrong", "✗ wrong"], ["right", "✓ right"], ["failed", "! failed"]];

  function bound(name, words, state, usual, change) {
    const input = seewhy.el("input", { type: "number", name, min: 0, max: 100, step: 1, inputmode: "numeric", value: state[name] ? Math.round(100 * Number(state[name])) : "", placeholder: usual, "aria-label": words });
    input.addEventListener("change", function () {
      const value = input.value === "" ? "" : Math.min(100, Math.max(0, Number(input.value))) / 100;
      change({ [name]: value === "" ? "" : String(value) });
    });
    return input;
  }

  function confidence(state, change) {
    const low = bound("low", "Confidence from, in percent", state, "0", change);
    const high = bound("high", "Confidence to, in percent", state, "100", change);
    return seewhy.el("div", { className: "control control-range", role: "group", "aria-label": "Confidence" },
      seewhy.el("span", { text: "Confidence, %" }), seewhy.el("span", { className: "range" }, low, " to ", high));
  }

  function search(state, change) {
    const input = seewhy.el("input", { type: "search", name: "q", value: state.q || "", placeholder: "id, class or error", "aria-keyshortcuts": "/" });
    let waiting = 0;
    input.addEventListener("input", function () {
      window.clearTimeout(waiting);
      waiting = window.setTimeout(() => change({ q: input.value.trim() }), 120);
    });
    return seewhy.labelled("Search", input, "control-wide");
  }

  function classes(words, of, run, records, state, change) {
    const known = new Set((run.classes || []).filter((one) => of === "label" || run.classes_by === "prediction" || one.predicted).map((one) => one.index));
    for (const record of records) {
      const index = of === "label" ? seewhy.ownLabel(record) : record.predicted;
      if (Number.isInteger(index)) known.add(index);
    }
    if (!known.size) return null;
    const pairs = [...known].sort((one, other) => one - other).map((index) => [String(index), seewhy.className(index, run.class_names)]);
    return seewhy.labelled(words, seewhy.select(of, [["", "any"], ...pairs], state[of] || "", (index) => change({ [of]: index })));
  }

  /** A form of filters; `change(part of the state)` at every choice, `clear()` for the button that undoes them all. */
  seewhy.filterBar = function (run, records, state, change, clear) {
    const splits = [["", "all"], ...(run.splits || []).map((split) => [split.name, split.name])];
    return seewhy.el(
      "form",
      { className: "controls filters", role: "search", "aria-label": "Which records are shown", on: { submit: (event) => event.preventDefault() } },
      search(state, change),
      seewhy.labelled("Result", seewhy.select("result", [...RESULTS, ["unlabelled", `? ${seewhy.unjudged(run)}`]], state.result || "", (result) => change({ result }))),
      seewhy.labelled("Split", seewhy.select("split", splits, state.split || "", (split) => change({ split }))),
      run.labels_match === false || run.classes_by === "prediction" ? null : classes("True class", "label", run, records, state, change),
      classes("Predicted class", "predicted", run, records, state, change),
      confidence(state, change),
      seewhy.labelled("Order", seewhy.select("sort", seewhy.SORTS, state.sort || "", (sort) => change({ sort }))),
      seewhy.el("button", { type: "button", className: "clear", text: "Clear filters", on: { click: clear } }),
    );
  };
})((window.seewhy = window.seewhy || {}));
