/* The points in view as a list: the same way to a record for those who use no pointer. */
(function (seewhy) {
  "use strict";

  const LINES = 20;

  /** A list that `fill(places)` draws: the first lines, and a button for more; each line opens its record. */
  seewhy.pointList = function (points, options) {
    const summary = seewhy.el("summary", {});
    const list = seewhy.el("ol", { className: "point-list" });
    const more = seewhy.el("button", { type: "button", text: "More" });
    const element = seewhy.el("details", { className: "point-details" }, summary, list, more);
    let places = [];
    let shown = 0;

    function line(place) {
      const record = seewhy.pointRecord(points, place, options.records);
      const words = [record.id, record.split, seewhy.outcome(record).word, seewhy.className(record.predicted, options.classNames)].filter(Boolean).join(" · ");
      const open = () => options.onOpen(points.record ? points.record[place] : place, place);
      return seewhy.el("li", {}, options.canOpen(place) ? seewhy.el("button", { type: "button", className: "link", text: words, on: { click: open } }) : words);
    }

    function grow() {
      for (const place of places.slice(shown, shown + LINES)) list.append(line(place));
      shown = Math.min(places.length, shown + LINES);
      more.hidden = shown >= places.length;
    }

    more.addEventListener("click", grow);
    element.addEventListener("toggle", () => element.open && shown === 0 && grow());
    return {
      element,
      fill(found) {
        places = found;
        shown = 0;
        list.replaceChildren();
        more.hidden = true;
        summary.textContent = `The ${seewhy.count(found.length, "point")} in view as a list`;
        if (element.open) grow();
      },
    };
  };
})((window.seewhy = window.seewhy || {}));
