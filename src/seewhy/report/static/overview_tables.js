/* The tables of the first screen: failures, splits, classes. */
(function (seewhy) {
  "use strict";

  const MOST_CLASSES = 50;

  /** Failures come first: what could not be explained, at which stage and why. */
  seewhy.failuresPanel = function (run, hrefOf) {
    if (!run.counts.failed) return null;
    const rows = (run.failures || []).map(function (failure) {
      const href = hrefOf && hrefOf(failure);
      const id = href ? seewhy.el("a", { href, text: failure.id }) : failure.id;
      return [id, failure.split, failure.stage, seewhy.el("span", { className: "error-line", text: failure.error })];
    });
    const more = run.counts.failed - rows.length;
    return seewhy.el(
      "section",
      { className: "panel panel-failed" },
      seewhy.el("h2", { text: `${seewhy.count(run.counts.failed, "record")} failed` }),
      seewhy.table("Failures", ["Record", "Split", "Stage", "Error"], rows),
      more > 0 ? seewhy.el("p", { className: "quiet", text: `and ${more.toLocaleString("en")} more, in failures.json` }) : null,
    );
  };

  seewhy.splitsPanel = function (run) {
    const rows = (run.splits || []).map((split) => [split.name, split.ok, split.failed, split.correct === undefined || !split.labelled ? "–" : `${split.correct} of ${split.labelled}`, seewhy.percent(split.accuracy)]);
    return rows.length ? seewhy.table("By split", ["Split", "Explained", "Failed", "Right", "Accuracy"], rows, { numeric: [1, 2, 3, 4] }) : null;
  };

  function accuracy(one) {
    if (one.correct === null || one.correct === undefined || !one.count) return "–";
    return seewhy.shareCell(one.correct / one.count);
  }

  /** Classes, those with the most mistakes first where labels are known; each leads to its records. */
  seewhy.classesPanel = function (run, hrefOf) {
    const classes = [...(run.classes || [])];
    if (!classes.length) return null;
    const wrong = (one) => (one.correct === null || one.correct === undefined ? 0 : one.count - one.correct);
    classes.sort((one, other) => wrong(other) - wrong(one) || one.index - other.index);
    const link = (one, words, onlyWrong) => {
      const href = hrefOf && hrefOf(one.index, onlyWrong);
      return href ? seewhy.el("a", { href, ...seewhy.clipped(words, 60) }) : words;
    };
    const labelled = run.classes_by !== "prediction" && classes.some((one) => one.correct !== null && one.correct !== undefined);
    const failed = labelled && classes.some((one) => one.failed);
    const rows = classes.slice(0, MOST_CLASSES).map((one) => [
      link(one, seewhy.className(one.index, run.class_names), false), one.count, ...(failed ? [one.failed || 0] : []),
      ...(labelled ? [wrong(one) ? link(one, String(wrong(one)), true) : "0", accuracy(one)] : []),
      seewhy.percent(one.mean_confidence),
    ]);
    const head = ["Class", failed ? "Explained" : "Records", ...(failed ? ["Failed"] : []), ...(labelled ? ["Wrong", "Accuracy"] : []), "Mean confidence"];
    const numeric = head.map((_, place) => place).filter((place) => place && head[place] !== "Accuracy");
    const caption = labelled ? "By true class, those with the most mistakes first" : "By predicted class";
    const more = classes.length - MOST_CLASSES;
    return seewhy.el("div", {}, seewhy.table(caption, head, rows, { numeric }),
      more > 0 ? seewhy.el("p", { className: "quiet", text: `and ${more} more classes` }) : null);
  };
})((window.seewhy = window.seewhy || {}));
