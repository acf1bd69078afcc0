/* What the models answered: one record page for each, and what is different where there are two. */
(function (seewhy) {
  "use strict";

  /** The JSON of an answer of the server; an error of the server as an `Error` with its parts in `told`. */
  seewhy.liveAnswer = async function (answer) {
    const text = await answer.text();
    let body = null;
    try {
      body = JSON.parse(text);
    } catch (none) {
      body = null;
    }
    if (answer.ok && body) return body;
    const told = (body && body.error) || { code: String(answer.status), message: text.slice(0, 300) || answer.statusText, near: [], fix: "" };
    const error = new Error(told.message);
    error.told = told;
    throw error;
  };

  /** An error in words: what was wrong, the nearest names, what to do. */
  seewhy.liveError = function (error) {
    const told = error.told || { code: "", message: error.message, near: [], fix: "" };
    return seewhy.el(
      "div",
      { className: "notice live-error", role: "alert" },
      seewhy.el("p", {}, told.code ? seewhy.el("strong", { text: `${told.code} ` }) : null, told.message),
      told.near && told.near.length ? seewhy.el("p", { text: `Nearest: ${told.near.join(", ")}` }) : null,
      told.fix ? seewhy.el("p", { text: `What to do: ${told.fix}` }) : null,
    );
  };

  function signed(value) {
    return `${value > 0 ? "+" : ""}${seewhy.number(value)}`;
  }

  /** The values of a map's tiles, each brought to `height` × `width`. */
  function valuesOf(map, height, width) {
    const cells = map.height * map.width;
    const values = Float32Array.from(seewhy.codes(map), (code) => code * (code < 0 && map.trough !== undefined ? map.trough : map.peak));
    const tiles = [...Array(map.tiles).keys()].map((tile) => values.subarray(tile * cells, (tile + 1) * cells));
    return tiles.flatMap((tile) => Array.from(seewhy.resample(tile, map.height, map.width, height, width)));
  }

  function correlation(left, right) {
    const mean = (values) => values.reduce((sum, number) => sum + number, 0) / values.length;
    const [low, high] = [mean(left), mean(right)];
    let [both, ours, theirs] = [0, 0, 0];
    for (let place = 0; place < left.length; place += 1) {
      both += (left[place] - low) * (right[place] - high);
      ours += (left[place] - low) ** 2;
      theirs += (right[place] - high) ** 2;
    }
    return ours > 0 && theirs > 0 ? both / Math.sqrt(ours * theirs) : null;
  }

  /** The correlation of two maps, on the finer of their grids; null where one is flat or holds values that are none. */
  seewhy.likeness = function (one, other) {
    if (one.tiles !== other.tiles || one.statistics.nonfinite || other.statistics.nonfinite) return null;
    const height = Math.max(one.height, other.height);
    const width = Math.max(one.width, other.width);
    return correlation(valuesOf(one, height, width), valuesOf(other, height, width));
  };

  function mapRow(first, second) {
    if (!first.maps.length || !second.maps.length) return [];
    const same = seewhy.likeness(first.maps[0], second.maps[0]);
    const words = same === null ? "one is flat or not finite: not compared" : `correlation ${seewhy.number(same)}`;
    return [["Map", first.maps[0].question, second.maps[0].question, words]];
  }

  function gradeRows(first, second) {
    const rows = [];
    for (const grade of first.grades.filter((one) => !one.control)) {
      const other = second.grades.find((one) => one.metric === grade.metric && one.input === grade.input && !one.control);
      if (!other) continue;
      const known = grade.value !== null && other.value !== null;
      rows.push([grade.metric, seewhy.number(grade.value), seewhy.number(other.value), known ? signed(other.value - grade.value) : "–"]);
    }
    return rows;
  }

  /** Whether two answers predict one class: by name where both models have names, by number where neither has. */
  function sameClass(first, second, names) {
    if (first.predicted === null || second.predicted === null) return "";
    if (Boolean(names[0]) !== Boolean(names[1])) return "not comparable: one model has no class names";
    const [ours, theirs] = names[0] ? [names[0][first.predicted], names[1][second.predicted]] : [first.predicted, second.predicted];
    return ours === theirs ? "the same class" : "another class";
  }

  /** A table of what two answers to one question differ in; `names` are each model's class names, or null. */
  seewhy.liveChanges = function (first, second, titles, names) {
    const classOf = (record, place) => (record.predicted === null ? "–" : seewhy.className(record.predicted, names[place]));
    const confidence = first.confidence !== null && second.confidence !== null;
    const rows = [
      ["Weights", first.live.weights.text, second.live.weights.text, ""],
      ["Predicted", classOf(first, 0), classOf(second, 1), sameClass(first, second, names)],
    ];
    if (confidence) {
      const change = `${signed(100 * (second.confidence - first.confidence))} points`;
      rows.push(["Confidence", seewhy.percent(first.confidence), seewhy.percent(second.confidence), change]);
    }
    rows.push(...mapRow(first, second), ...gradeRows(first, second));
    return seewhy.el("section", { className: "panel", "aria-label": "What changed" },
      seewhy.table("What changed", ["", titles[0], titles[1], "Change"], rows));
  };

  function heading(record, several) {
    const other = record.live.weights.same ? "" : ` (${record.live.weights.text})`;
    return several ? seewhy.el("h2", { className: "live-title", text: `${record.live.title}${other}` }) : null;
  }

  function told(record) {
    const layers = Object.entries(record.live.layers || {});
    const through = [...new Set(layers.map(([, layer]) => layer))];
    const lines = [through.length ? `Explained through ${through.join(", ")}.` : null, ...(record.live.notes || [])].filter(Boolean);
    return seewhy.el("p", { className: "quiet", text: lines.join(" ") });
  }

  /** Draw the answers in a container; what this returns takes away the keyboard of the pages. */
  seewhy.liveAnswers = function (container, records, offers, several) {
    const names = (place) => offers[place].class_names;
    const pages = records.map(() => seewhy.el("div", {}));
    const columns = records.map((record, place) => seewhy.el("div", { className: "live-answer" }, heading(record, several), told(record), pages[place]));
    const changes = records.length > 1 ? seewhy.liveChanges(records[0], records[1], records.map((record) => record.live.title), [names(0), names(1)]) : null;
    seewhy.replace(container, changes, seewhy.el("div", { className: records.length > 1 ? "live-answers live-several" : "live-answers" }, columns));
    const views = records.map((record, place) => seewhy.recordView(pages[place], record, { class_names: names(place) }, {}));
    return () => views.forEach((view) => view.destroy());
  };
})((window.seewhy = window.seewhy || {}));
