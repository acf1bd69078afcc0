/* Grades of one record's maps: methods and, beside them, maps that know nothing. */
(function (seewhy) {
  "use strict";

  const ARROWS = { higher: "↑ higher is better", lower: "↓ lower is better" };

  function cellOf(grade) {
    if (!grade) return "–";
    if (grade.value !== null && grade.value !== undefined) return seewhy.number(grade.value);
    const why = grade.reason || "no value";
    return seewhy.el("span", { className: "quiet", text: `none: ${why}` });
  }

  function oneInput(grades, name) {
    const metrics = [...new Set(grades.map((grade) => grade.metric))];
    const better = new Map(grades.map((grade) => [grade.metric, grade.better]));
    const control = new Map(grades.map((grade) => [grade.who, grade.control]));
    const who = [...control.keys()].sort((one, other) => Number(control.get(one)) - Number(control.get(other)));
    const head = ["Map", ...metrics.map((metric) => [metric, ARROWS[better.get(metric)]].filter(Boolean).join(" "))];
    const found = new Map(grades.map((grade) => [JSON.stringify([grade.who, grade.metric]), grade]));
    const rows = who.map((one) => [
      seewhy.el("span", {}, one, control.get(one) ? seewhy.el("em", { className: "quiet", text: " control" }) : ""),
      ...metrics.map((metric) => cellOf(found.get(JSON.stringify([one, metric])))),
    ]);
    const numeric = metrics.map((_, place) => place + 1);
    return seewhy.table(name ? `Grades of the maps of ${name}` : "Grades of the maps", head, rows, { numeric });
  }

  /** One table for each input; a control that does as well as a method means that the method says nothing here. */
  seewhy.gradesPanel = function (grades) {
    if (!grades || !grades.length) return null;
    const inputs = [...new Set(grades.map((grade) => grade.input))];
    const tables = inputs.map((name) => oneInput(grades.filter((grade) => grade.input === name), inputs.length > 1 ? name : ""));
    const note = "Controls are maps that know nothing of the model: a method says something only where it is better than they are.";
    return seewhy.el("div", {}, ...tables, seewhy.el("p", { className: "quiet", text: note }));
  };
})((window.seewhy = window.seewhy || {}));
