/* The records as pages of cards, behind filters. */
(function (seewhy) {
  "use strict";

  const PER_PAGE = 60;

  function pager(page, pages, turn) {
    if (pages < 2) return null;
    const button = (words, to, label) =>
      seewhy.el("button", { type: "button", text: words, disabled: to < 1 || to > pages, "aria-label": label, on: { click: () => turn(to) } });
    return seewhy.el(
      "nav",
      { className: "pager", "aria-label": "Pages of records" },
      button("« First", page === 1 ? 0 : 1, "First page"),
      button("‹ Previous", page - 1, "Previous page"),
      seewhy.el("span", { text: `Page ${page} of ${pages}` }),
      button("Next ›", page + 1, "Next page"),
      button("Last »", page === pages ? 0 : pages, "Last page"),
    );
  }

  /** Which map lies over the thumbnails: a select of what the records have, and off. */
  function overlays(records, state, change) {
    const groups = new Map();
    for (const record of records.slice(0, 50)) for (const group of seewhy.mapGroups(record)) groups.set(group.key, group.label);
    if (!groups.size) return null;
    const pairs = [["", [...groups.values()][0]], ...[...groups].slice(1), ["off", "off"]];
    return seewhy.labelled("Maps over the pictures", seewhy.select("over", pairs, state.over || "", (over) => change({ over })));
  }

  function legend(choice) {
    if (!choice) return null;
    const [low, high] = ["0", "each map's own peak"];
    const bar = seewhy.legend({ scale: "positive", colormap: seewhy.usualColormap("positive"), opacity: choice.opacity, shared: false }, 1, "evidence for the predicted class");
    bar.querySelectorAll(".legend-end").forEach((end, place) => (end.textContent = [low, high][place]));
    bar.setAttribute("aria-label", "Colours from 0 to each map's own peak: evidence for the predicted class");
    return bar;
  }

  function summary(places, records) {
    const words = places.length === records.length ? `All ${seewhy.count(records.length, "record")} of this page` : `${places.length.toLocaleString("en")} of ${seewhy.count(records.length, "record")} of this page`;
    const wrong = places.filter((place) => records[place].right === false).length;
    const failed = places.filter((place) => records[place].status === "failed").length;
    return `${words}; ${wrong} wrong, ${failed} failed.`;
  }

  /** The gallery; `act` has `change(part)` (a filter), `clear()`, `recordHref(record)` and `note`, words about the page. */
  seewhy.gallery = function (container, page, state, act) {
    const { run, records } = page;
    const results = seewhy.el("div", {});

    function fill(now) {
      const places = seewhy.found(records, now, run.class_names);
      const pages = Math.max(1, Math.ceil(places.length / PER_PAGE));
      const number = Math.min(pages, Math.max(1, Math.floor(Number(now.page)) || 1));
      const shown = places.slice((number - 1) * PER_PAGE, number * PER_PAGE);
      const anyMap = now.over !== "off" && records.some((record) => record.maps && record.maps.length);
      const choice = anyMap ? { question: now.over || "", opacity: 0.6, colormap: "", sign: "" } : null;
      const turn = function (to) {
        act.change({ page: String(to) });
        results.scrollIntoView({ block: "start" });
      };
      seewhy.replace(
        results,
        seewhy.el("p", { className: "summary", role: "status", text: summary(places, records) }),
        legend(choice),
        shown.length
          ? seewhy.el("ul", { className: "cards" }, shown.map((place) => seewhy.card(records[place], act.recordHref(records[place]), run.class_names, choice)))
          : seewhy.el("p", { className: "empty", text: "No record of this page passes these filters." }),
        pager(number, pages, turn),
      );
    }

    const change = (part) => act.change({ page: "", ...part });
    const bar = seewhy.filterBar(run, records, state, change, act.clear);
    const over = overlays(records, state, change);
    if (over) bar.insertBefore(over, bar.lastChild);
    seewhy.replace(container, seewhy.el("h2", { text: "Records", tabindex: "-1" }), act.note, bar, results);
    fill(state);
    return { fill };
  };
})((window.seewhy = window.seewhy || {}));
