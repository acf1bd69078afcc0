/* The page of one record: what it is, what the model said, and where it looked. */
(function (seewhy) {
  "use strict";

  function sentence(record, run) {
    if (record.status === "failed") return `This record failed at the stage ${record.stage || "unknown"}.`;
    const labelled = record.label !== null && record.label !== undefined;
    const label = labelled ? seewhy.className(record.label, run.label_names || run.class_names).replace(/^class /, "") : "";
    if (record.predicted === null || record.predicted === undefined) {
      return `The model puts out no class.${labelled ? ` The data set's label is ${label}.` : ""}`;
    }
    const sure = record.confidence === null || record.confidence === undefined ? "" : ` with ${seewhy.percent(record.confidence)}`;
    const said = `Predicted ${seewhy.className(record.predicted, run.class_names)}${sure}`;
    if (run.labels_match === false && labelled) return `${said}; the data set's label, of classes of its own, is ${label}.`;
    if (record.right === null || record.right === undefined) return `${said}.`;
    return `${said}; the true class is ${seewhy.className(record.label, run.class_names)}.`;
  }

  function navigation(options) {
    const button = (words, act, key) => act && seewhy.el("button", { type: "button", text: words, on: { click: act }, "aria-keyshortcuts": key, title: `Key: ${key}` });
    return seewhy.el(
      "nav",
      { className: "record-nav", "aria-label": "Records" },
      button("← Back", options.back, "Escape"),
      button("‹ Previous", options.previous, "ArrowLeft"),
      options.position ? seewhy.el("span", { className: "quiet", text: options.position }) : null,
      button("Next ›", options.next, "ArrowRight"),
    );
  }

  function headerOf(record, run, options) {
    const error = record.error ? seewhy.el("pre", { className: "error-text", text: record.error }) : null;
    return seewhy.el(
      "header",
      { className: "record-head" },
      navigation(options),
      seewhy.el("h2", { tabindex: "-1" }, record.id, " ", seewhy.badge(record)),
      seewhy.el("p", { className: "lead" }, sentence(record, run), seewhy.el("span", { className: "quiet", text: ` Split: ${record.split}.` })),
      error,
    );
  }

  /** The maps in front: the chosen class of every input, and the true class where the model was wrong. */
  function inFront(record, choice) {
    if (!choice.group) return [];
    const wanted = [choice.class];
    if (record.right === false && choice.class === record.predicted && choice.classes.includes(record.label)) wanted.push(record.label);
    const seen = new Set([choice.group.input]);
    const groups = [choice.group];
    for (const group of choice.groups) {
      if (group.method === choice.group.method && !seen.has(group.input)) groups.push(group);
      seen.add(group.input);
    }
    return groups.flatMap((group) => wanted.map((index) => seewhy.mapOf(group, index, choice.variant))).filter(Boolean);
  }

  function titleOf(record, run, map) {
    const what = map.class === null || map.class === undefined ? "" : seewhy.classRole(record, map.class, run.class_names);
    const several = (record.inputs || []).length > 1 ? ` of ${map.input}` : "";
    return [`${map.method}${several}`, what, map.variant].filter(Boolean).join(" · ");
  }

  function figureOf(record, run, map, choice, className) {
    const look = seewhy.lookOf(record, map, choice);
    const layer = map.layer ? `layer ${map.layer}` : "";
    return seewhy.figure(titleOf(record, run, map), seewhy.inputOf(record, map.input), map, look, { className, note: layer });
  }

  function originals(record) {
    return (record.inputs || []).filter((input) => input.src).map((input) => seewhy.figure(record.inputs.length > 1 ? input.name : "The input", input, null, null, { className: "picture-input" }));
  }

  /** Every map of the class in question, one for each method, input and variant. */
  function sideBySide(record, run, choice) {
    const maps = choice.groups.flatMap((group) => group.maps)
      .filter((map) => map.class === null || map.class === undefined || map.class === choice.class);
    if (maps.length < 2) return null;
    const figures = seewhy.el("div", { className: "figures figures-small" });
    const words = `Side by side: all ${maps.length} maps of ${choice.class === null ? "this record" : seewhy.clipped(seewhy.className(choice.class, run.class_names)).text}`;
    const details = seewhy.el("details", { className: "side-by-side" }, seewhy.el("summary", { text: words }), figures);
    const fill = () => seewhy.replace(figures, maps.map((map) => figureOf(record, run, map, choice)));
    details.addEventListener("toggle", () => details.open && !figures.childElementCount && fill());
    return details;
  }

  /** Why there is no picture, and which maps the page left out. */
  function pictureNote(record, run) {
    const words = [];
    const kept = (record.inputs || []).some((input) => input.src);
    if (!kept) words.push(run.no_previews || "No picture of this record is kept.");
    if (record.omitted > 0) words.push(`${seewhy.count(record.omitted, "more map")} of this record left out of this page for its size; the run directory has them.`);
    return words.length ? seewhy.el("p", { className: "quiet" }, seewhy.prose(words.join(" "))) : null;
  }

  /** Why there is no map, and how to get one where the run asked for none. */
  function noMaps(record, run) {
    const asked = (run.questions || []).some((one) => one.kind === "gradcam" || one.kind === "attention");
    const how = asked || record.omitted > 0 ? "" : " `generate_artifacts` with the same model and data, `generate_gradcam=true` and this run's directory as `output_dir` adds them; `seewhy serve RUN_DIR --checkpoint FILE` asks the model at once.";
    return seewhy.el("p", { className: "quiet no-maps" }, seewhy.prose(`This ${record.omitted > 0 ? "page" : "run"} holds no maps of this record.${how}`));
  }

  function keyboard(options) {
    const act = { ArrowLeft: options.previous, ArrowRight: options.next, Escape: options.back };
    return function (event) {
      const busy = event.target.closest && event.target.closest("input, select, textarea, .table-frame, .scatter");
      if (busy || event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || !act[event.key]) return;
      event.preventDefault();
      act[event.key]();
    };
  }

  /** Draw a RECORD into a container, with controls; the options (none needed): `state` of the controls, `onState`,
   *  `previous`, `next` and `back` (a button and a key each), and `position`, "3 of 40". */
  seewhy.recordView = function (container, record, run, options = {}) {
    let given = { ...(options.state || {}) };
    let open = false;
    const stage = seewhy.el("section", { className: "stage", "aria-label": "Where the model looked" });
    const beside = seewhy.el("section", { className: "panels", "aria-label": "Numbers" });

    function draw(focus) {
      const choice = seewhy.settle(record, given);
      const maps = inFront(record, choice);
      const figures = seewhy.el("div", { className: "figures" }, ...originals(record), ...maps.map((map) => figureOf(record, run, map, choice)));
      const all = choice.group ? sideBySide(record, run, choice) : null;
      const none = record.status !== "failed" && !choice.group ? noMaps(record, run) : null;
      const controls = choice.group ? seewhy.recordControls(record, run, choice, change) : null;
      seewhy.replace(stage, controls, pictureNote(record, run), none, figures, all);
      if (all && open) all.open = true;
      if (all) all.addEventListener("toggle", () => (open = all.open));
      seewhy.replace(beside, seewhy.topClasses(record, run), maps[0] ? seewhy.mapStatistics(maps[0], titleOf(record, run, maps[0]), seewhy.inputOf(record, maps[0].input)) : null,
        seewhy.sharesPanel(record.shares, run), seewhy.gradesPanel(record.grades), seewhy.geometryPanel(record.geometry, record.inputs), seewhy.notesPanel(record.notes), seewhy.filesPanel(record.files));
      const control = focus && stage.querySelector(`[name="${focus}"]`);
      if (control) control.focus();
    }

    function change(part, dragged) {
      given = { ...given, ...part };
      if (options.onState) options.onState(given);
      if (dragged !== "opacity") return draw(Object.keys(part)[0]);
      for (const canvas of stage.querySelectorAll("canvas")) canvas.style.opacity = String(part.opacity);
      return undefined;
    }

    seewhy.replace(container, seewhy.el("article", { className: "record" }, headerOf(record, run, options), stage, beside));
    draw();
    const press = keyboard(options);
    document.addEventListener("keydown", press);
    return { destroy: () => document.removeEventListener("keydown", press) };
  };
})((window.seewhy = window.seewhy || {}));
