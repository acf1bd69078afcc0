/* The report: reads its data, and shows the view that the address asks for. */
(function (seewhy) {
  "use strict";

  const VIEWS = [["overview", "Overview"], ["records", "Records"], ["map", "Embedding map"], ["methods", "Methods"], ["made", "How it was made"]];
  const CONTROLS = { m: "question", c: "class", v: "variant", cmap: "colormap", o: "opacity", scale: "scale", sign: "sign" };

  let page = null;
  let main = null;
  let shown = { destroy() {} };
  let drawn = "";

  const only = (state, names) => Object.fromEntries(names.filter((name) => state[name]).map((name) => [name, state[name]]));
  const filtersOf = (state) => only(state, [...seewhy.FILTERS, "page", "over"]);
  const recordState = (record, state) => ({ view: "record", in: record.split, id: record.id, ...filtersOf(state), ...only(state, Object.keys(CONTROLS)) });
  const recordHref = (record, state) => seewhy.hashOf(recordState(record, state || {}));

  /** Another page of the report at a state; null where there is none. */
  function pageHref(number, state) {
    const safe = seewhy.safeHref(((page.page && page.page.hrefs) || [])[number - 1]);
    return safe ? `${safe}${seewhy.hashOf(state)}` : null;
  }

  /** The address of a record on whichever page holds it. */
  const anywhere = (record) => (record.page ? pageHref(record.page, recordState(record, {})) : recordHref(record, {}));

  function header() {
    const { run } = page;
    const links = VIEWS.map(([name, words]) => seewhy.el("li", {}, seewhy.el("a", { href: seewhy.hashOf({ view: name }), "data-view": name, text: words })));
    seewhy.replace(document.getElementById("top"),
      seewhy.el("h1", { text: run.title }),
      seewhy.el("nav", { "aria-label": "Views" }, seewhy.el("ul", { className: "views" }, links)),
      seewhy.el("button", { type: "button", "data-theme-toggle": true }));
    seewhy.theme();
  }

  /** Which page of how many this is, what it leaves out, and the way to the others. */
  function pagesNote() {
    const { number, of, hrefs = [], order, notice } = page.page || {};
    const lines = [order, ...[notice].flat()].filter(Boolean).map((line) => seewhy.el("p", {}, seewhy.prose(line)));
    const links = hrefs.map(function (href, place) {
      const safe = seewhy.safeHref(href);
      const here = place + 1 === number;
      return seewhy.el("li", {}, here || !safe ? seewhy.el("span", { "aria-current": here && "page", text: String(place + 1) }) : seewhy.el("a", { href: `${safe}#view=records`, text: String(place + 1) }));
    });
    const pages = of > 1 ? seewhy.el("nav", { className: "report-pages", "aria-label": "Pages of this report" }, `Page ${number} of ${of}: `, seewhy.el("ul", {}, links)) : null;
    return lines.length || pages ? seewhy.el("div", { className: "quiet page-note" }, lines, pages) : null;
  }

  function showOverview() {
    const held = new Map([...page.records, ...(page.others || [])].map((record) => [JSON.stringify([record.split, record.id]), record]));
    const by = page.run.classes_by === "prediction" ? "predicted" : "label";
    seewhy.overview(main, page.run, {
      recordHref(failure) {
        const record = held.get(JSON.stringify([failure.split, failure.id]));
        return record ? anywhere(record) : null;
      },
      classHref: (index, wrong) => seewhy.hashOf({ view: "records", [by]: index, result: wrong ? "wrong" : "" }),
      resultHref: (result) => seewhy.hashOf({ view: "records", result }),
    });
    return null;
  }

  function showRecords(state) {
    let now = { view: "records", ...filtersOf(state) };
    const gallery = seewhy.gallery(main, page, now, {
      note: pagesNote(),
      change(part) {
        now = { ...now, ...part };
        seewhy.note(now);
        drawn = window.location.hash;
        gallery.fill(now);
      },
      clear: () => seewhy.go({ view: "records" }),
      recordHref: (record) => recordHref(record, now),
      pageHref: (number, wanted) => pageHref(number, { ...wanted, page: "" }),
    });
    return null;
  }

  function controlsOf(state) {
    return Object.fromEntries(Object.entries(CONTROLS).filter(([short]) => state[short]).map(([short, name]) => [name, state[short]]));
  }

  /** A record that this page does not hold: the way to the page that does, where that is known. */
  function showAbsent(state) {
    const other = (page.others || []).find((record) => record.id === state.id && (!state.in || record.split === state.in));
    const href = other && pageHref(other.page, recordState(other, state));
    const words = href ? seewhy.el("p", {}, `The record ${state.id} is on `, seewhy.el("a", { href, text: `page ${other.page} of this report` }), ".") : seewhy.el("p", { text: `This report has no record ${state.id || ""}${page.page && page.page.of > 1 && !page.page.elsewhere ? " on this page; it may be on another" : ""}.` });
    return seewhy.replace(main, seewhy.el("h2", { tabindex: "-1", text: href ? "On another page" : "No such record" }), words, pagesNote());
  }

  function showRecord(state) {
    const { records, run } = page;
    const place = records.findIndex((record) => record.id === state.id && (!state.in || record.split === state.in));
    if (place < 0) return showAbsent(state);
    const order = seewhy.found(records, state, run.class_names);
    const at = order.indexOf(place);
    let now = recordState(records[place], state);
    const step = (to) => (at >= 0 && order[to] !== undefined ? () => seewhy.go({ ...now, in: records[order[to]].split, id: records[order[to]].id, c: "", v: "" }) : null);
    return seewhy.recordView(main, records[place], run, {
      state: controlsOf(state),
      onState(choice) {
        for (const [short, name] of Object.entries(CONTROLS)) now[short] = choice[name] ?? "";
        seewhy.note(now);
        drawn = window.location.hash;
      },
      previous: step(at - 1),
      next: step(at + 1),
      back: () => seewhy.go({ view: "records", ...filtersOf(state) }),
      position: at >= 0 ? `${at + 1} of ${order.length}` : "",
    });
  }

  function showMap(state) {
    return seewhy.embeddingView(main, page, state, {
      open: (record) => (record.page ? window.location.assign(anywhere(record)) : seewhy.go(recordState(record, {}))),
      change(part) {
        seewhy.note({ ...only(state, ["by", "colour"]), view: "map", ...part });
        show();
      },
    });
  }

  const draw = {
    overview: showOverview,
    records: showRecords,
    record: showRecord,
    map: showMap,
    methods: () => seewhy.methodsView(main, page.run),
    made: () => seewhy.madeView(main, page.run),
  };

  function show() {
    if (drawn === window.location.hash && main.childElementCount) return;
    const first = !main.childElementCount;
    drawn = window.location.hash;
    shown.destroy();
    const state = seewhy.readState();
    const view = Object.hasOwn(draw, state.view || "") ? state.view : "overview";
    shown = draw[view](state) || { destroy() {} };
    const tab = view === "record" ? "records" : view;
    for (const link of document.querySelectorAll("[data-view]")) {
      if (link.dataset.view === tab) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.body.dataset.view = view;
    if (first) return;
    window.scrollTo(0, 0);
    const title = main.querySelector("h2");
    if (title) title.focus({ preventScroll: true });
  }

  function slash(event) {
    const search = document.querySelector('input[name="q"]');
    if (event.key !== "/" || !search || event.target.closest("input, select, textarea")) return;
    event.preventDefault();
    search.focus();
  }

  function start() {
    const data = JSON.parse(document.getElementById("page").textContent);
    page = seewhy.unpack ? seewhy.unpack(data) : data;
    main = document.getElementById("app");
    seewhy.useColormaps(page.colormaps);
    header();
    main.replaceChildren();
    show();
    window.addEventListener("hashchange", show);
    document.addEventListener("keydown", slash);
    document.documentElement.dataset.ready = "";
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})((window.seewhy = window.seewhy || {}));
