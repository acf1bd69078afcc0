/* The embedding map of the report: which projection, coloured by what. */
(function (seewhy) {
  "use strict";

  const COLOURS = [["class", "class"], ["error", "right or wrong"], ["split", "split"]];

  /** Draw the projections of a page; `act` has `open(record)`, or `openNumber(index)` where the page holds no records, and `change(part of the state)`. */
  seewhy.embeddingView = function (container, page, state, act) {
    const title = seewhy.el("h2", { text: "Embedding map", tabindex: "-1" });
    const lead = seewhy.el("p", { className: "quiet", text: "Each point is a record; records that the model's embedding finds alike lie together. The axes of a projection have no unit." });
    if (!page.points || !page.points.length) {
      seewhy.replace(container, title, seewhy.el("p", { className: "empty", text: "This run holds no projection of embeddings: generate_embeddings makes the embeddings, and every run with them a map by PCA." }));
      return { destroy() {} };
    }
    const points = page.points.find((one) => one.name === state.by) || page.points[0];
    const colour = COLOURS.some(([name]) => name === state.colour) ? state.colour : "class";
    const names = page.points.map((one) => [one.name, one.name]);
    const controls = seewhy.el(
      "form",
      { className: "controls", "aria-label": "What the map shows", on: { submit: (event) => event.preventDefault() } },
      seewhy.labelled("Projection", seewhy.select("by", names, points.name, (by) => act.change({ by }))),
      seewhy.labelled("Colour by", seewhy.select("colour", COLOURS, colour, (value) => act.change({ colour: value }))),
    );
    const frame = seewhy.el("div", {});
    const known = page.records ? [...page.records, ...(page.others || [])] : null;
    const records = known ? known.length : page.run.counts.records;
    const absent = records - points.record.length;
    const told = absent > 0 ? seewhy.el("p", { className: "quiet", text: `${seewhy.count(absent, "record")} without a place in it: no embedding, one that is not finite, or explained after this projection was made.` }) : null;
    seewhy.replace(container, title, lead, controls, told, frame);
    return seewhy.scatter(frame, points, {
      colourBy: colour, records: known, classNames: page.run.class_names,
      onOpen: (index) => (act.openNumber ? act.openNumber(index) : known[index] && act.open(known[index])),
    });
  };
})((window.seewhy = window.seewhy || {}));
