/* The first screen: what model, what data, how many, failures first, accuracy and confidence, the verdict. */
(function (seewhy) {
  "use strict";

  function tile(value, what, kind, href) {
    const body = [seewhy.el("strong", { text: value }), seewhy.el("span", { text: what })];
    const className = `tile-number ${kind ? `tile-${kind}` : ""}`.trim();
    return href ? seewhy.el("a", { className, href }, body) : seewhy.el("div", { className }, body);
  }

  function sums(run) {
    const all = run.splits || [];
    const sum = (name) => all.reduce((total, split) => total + (split[name] || 0), 0);
    return { labelled: sum("labelled"), correct: sum("correct") };
  }

  function numbers(run, links) {
    const { labelled, correct } = sums(run);
    const href = (result) => (links.resultHref ? links.resultHref(result) : null);
    return seewhy.el(
      "div",
      { className: "tile-numbers" },
      run.counts.failed ? tile(`! ${run.counts.failed.toLocaleString("en")}`, "failed", "failed", href("failed")) : null,
      tile(run.counts.records.toLocaleString("en"), run.counts.records === 1 ? "record" : "records", "", href("")),
      labelled ? tile(seewhy.percent(correct / labelled), `accuracy (${correct} of ${labelled})`, "") : null,
      labelled - correct > 0 ? tile(`✗ ${(labelled - correct).toLocaleString("en")}`, "wrong", "wrong", href("wrong")) : null,
      run.counts.failed ? null : tile("0", "failed", ""),
    );
  }

  function facts(title, pairs) {
    const list = seewhy.factList(pairs);
    return list ? seewhy.el("section", { className: "panel" }, seewhy.el("h2", { text: title }), list) : null;
  }

  /** The verdicts in their own words, without the table of evidence. */
  seewhy.verdicts = function (run) {
    return (run.verdicts || []).map(function (one) {
      const verdict = one.verdict || one;
      const about = one.several ? `${one.split}, ${one.input}` : one.split;
      const avoid = Object.entries(verdict.avoid || {}).map(([method, why]) => `do not use ${method}: ${why}`);
      const unproven = Object.entries(verdict.unproven || {}).map(([method, why]) => `unproven, ${method}: ${why}`);
      const disagree = (verdict.disagreements || []).map((each) => `the metrics disagree: ${each.words}`);
      const lines = [...(verdict.because || []), ...(verdict.tied || []), ...unproven, ...avoid, ...disagree, ...(verdict.notes || [])];
      const outcome = String(verdict.outcome || "");
      return seewhy.el(
        "section",
        { className: "panel verdict" },
        seewhy.el("h2", { text: `Verdict: which explanation to trust (${about})` }),
        seewhy.el("p", { className: "lead", text: `${outcome.charAt(0).toUpperCase()}${outcome.slice(1)}.` }),
        lines.length ? seewhy.el("ul", {}, lines.map((line) => seewhy.el("li", { text: line }))) : null,
      );
    });
  };

  function confidence(run) {
    const chart = run.confidence ? seewhy.confidenceChart(run.confidence, run) : null;
    return chart ? seewhy.el("section", { className: "panel" }, seewhy.el("h2", { text: "Confidence" }), chart) : null;
  }

  /** Draw the first screen; `links` may have `recordHref(failure)`, `classHref(index, wrong only)`, `resultHref(result)`. */
  seewhy.overview = function (container, run, links = {}) {
    const running = run.status === "running" ? seewhy.el("p", { className: "notice", text: "This run is not finished: what is shown is what it had committed." }) : null;
    const verdicts = seewhy.verdicts(run);
    const unjudged = seewhy.el("section", { className: "panel" }, seewhy.el("h2", { text: "Verdict" }),
      seewhy.el("p", {}, seewhy.prose("Nothing was graded in this run, so that nothing can be said of which explanation to trust. `seewhy evaluate` grades methods beside controls.")));
    seewhy.replace(
      container,
      seewhy.el("h2", { className: "hidden-title", tabindex: "-1", text: "Overview" }),
      running,
      numbers(run, links),
      seewhy.failuresPanel(run, links.recordHref),
      ...verdicts,
      seewhy.el(
        "div",
        { className: "columns" },
        seewhy.el("section", { className: "panel" }, seewhy.el("h2", { text: "Accuracy" }), seewhy.splitsPanel(run)),
        confidence(run),
        facts("Model", run.model),
        facts("Data", run.data),
      ),
      ...(verdicts.length ? [] : [unjudged]),
      seewhy.el("section", { className: "panel" }, seewhy.el("h2", { text: "Classes" }), seewhy.classesPanel(run, links.classHref)
        || seewhy.el("p", { className: "quiet", text: "No record has a class." })),
    );
  };
})((window.seewhy = window.seewhy || {}));
