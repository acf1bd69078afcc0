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

  /** What maps the records have, by key. */
  function groupsOf(records) {
    const groups = new Map();
    for (const record of records) for (const group of seewhy.mapGroups(record)) if (!groups.has(group.key)) groups.set(group.key, group);
    return groups;
  }

  /** Which map lies over the thumbnails: a select of what the records have, and off. */
  function overlays(groups, state, change) {
    if (!groups.size) return null;
    const keys = [...groups.keys()];
    const pairs = keys.map((key, place) => [place ? key : "", groups.get(key).label]);
    const chosen = state.over === keys[0] ? "" : state.over || "";
    return seewhy.labelled("Maps over the pictures", seewhy.select("over", [...pairs, ["off", "off"]], chosen, (over) => change({ over })));
  }

  /** The map over the pictures: the first there is where nothing was chosen. */
  function choiceOf(groups, state) {
    const group = state.over === "off" ? null : groups.get(state.over) || [...groups.values()][0];
    return group ? { question: group.key, label: group.label, input: group.input, opacity: 0.6, colormap: "", sign: "" } : null;
  }

  /** What the colours mean, as the first map in view says. */
  function legend(records, choice) {
    const owner = choice && records.find((record) => seewhy.cardMap(record, choice));
    if (!owner) return null;
    const map = seewhy.cardMap(owner, choice);
    const look = seewhy.lookOf(owner, map, choice);
    const ofClass = map.class === null || map.class === undefined ? "" : " (each record's predicted class)";
    const unit = [`${map.unit || "raw value"}${ofClass}`, map.variant].filter(Boolean).join(", ");
    const bar = seewhy.legend(look, 1, unit);
    const peak = "each map's own peak";
    const ends = look.scale === "diverging" ? [`minus ${peak}`, peak] : ["0", peak];
    bar.querySelectorAll(".legend-end").forEach((end, place) => (end.textContent = ends[place]));
    bar.setAttribute("aria-label", `Colours from ${ends[0]} to ${ends[1]}: ${unit}`);
    return bar;
  }

  function summary(places, records) {
    const words = places.length === records.length ? `All ${seewhy.count(records.length, "record")} of this page` : `${places.length.toLocaleString("en")} of ${seewhy.count(records.length, "record")} of this page`;
    const wrong = places.filter((place) => records[place].right === false).length;
    const failed = places.filter((place) => records[place].status === "failed").length;
    return `${words}; ${wrong} wrong, ${failed} failed.`;
  }

  /** Where else records pass the filters: each other page with how many, and a link to them. */
  function elsewhere(page, state, hrefOf) {
    const others = page.others || [];
    const counts = new Map();
    for (const place of seewhy.found(others, { ...state, sort: "" }, page.run.class_names)) counts.set(others[place].page, (counts.get(others[place].page) || 0) + 1);
    if (!others.length) return null;
    const all = [...counts.values()].reduce((sum, one) => sum + one, 0);
    const links = [...counts].map(([number, count]) => seewhy.el("a", { href: hrefOf(number, state), text: `${count.toLocaleString("en")} on page ${number}` }));
    return seewhy.el("p", { className: "elsewhere", role: "status" }, `Other pages of this report: ${all ? `${all.toLocaleString("en")} more, ` : "none more."}`,
      links.flatMap((link, place) => (place ? [", ", link] : [link])));
  }

  /** The gallery; `act` has `change(part)` (a filter), `clear()`, `recordHref(record)`,
   *  `pageHref(number, state)` and `note`, words about the page. */
  seewhy.gallery = function (container, page, state, act) {
    const { run, records } = page;
    const results = seewhy.el("div", {});
    const groups = groupsOf(records);

    function fill(now) {
      const places = seewhy.found(records, now, run.class_names);
      const pages = Math.max(1, Math.ceil(places.length / PER_PAGE));
      const number = Math.min(pages, Math.max(1, Math.floor(Number(now.page)) || 1));
      const shown = places.slice((number - 1) * PER_PAGE, number * PER_PAGE);
      const choice = choiceOf(groups, now);
      const turn = function (to) {
        act.change({ page: String(to) });
        results.scrollIntoView({ block: "start" });
      };
      seewhy.replace(
        results,
        seewhy.el("p", { className: "summary", role: "status", text: summary(places, records) }),
        elsewhere(page, now, act.pageHref),
        legend(shown.map((place) => records[place]), choice),
        shown.length
          ? seewhy.el("ul", { className: "cards" }, shown.map((place) => seewhy.card(records[place], act.recordHref(records[place]), run.class_names, choice)))
          : seewhy.el("p", { className: "empty", text: "No record of this page passes these filters." }),
        pager(number, pages, turn),
      );
    }

    const change = (part) => act.change({ page: "", ...part });
    const bar = seewhy.filterBar(run, records, state, change, act.clear);
    const over = overlays(groups, state, change);
    if (over) bar.insertBefore(over, bar.lastChild);
    seewhy.replace(container, seewhy.el("h2", { text: "Records", tabindex: "-1" }), act.note, bar, results);
    fill(state);
    return { fill };
  };
})((window.seewhy = window.seewhy || {}));
