/* Starts a page of the dashboard: reads its data and draws the view that its body names. */
(function (seewhy) {
  "use strict";

  const views = (seewhy.views = seewhy.views || {});
  const CONTROLS = { m: "question", c: "class", v: "variant", cmap: "colormap", o: "opacity", scale: "scale", sign: "sign" };

  /** JSON of this server; an error carries its words. */
  seewhy.fetched = async function (href) {
    const answer = await window.fetch(href, { headers: { accept: "application/json" } });
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.error ? told.error.message : `The server answered ${answer.status}.`);
    return told;
  };

  seewhy.showError = function (container, error) {
    seewhy.replace(container, seewhy.el("p", { className: "notice", role: "alert", text: error.message || String(error) }));
  };

  views.record = function (main, data) {
    const state = seewhy.readState();
    const given = Object.fromEntries(Object.entries(CONTROLS).filter(([short]) => state[short]).map(([short, name]) => [name, state[short]]));
    const keep = Object.fromEntries(["m", "cmap", "o", "scale", "sign"].map((short) => [short, state[short] || ""]));
    const go = (href) => href && (() => window.location.assign(`${href}${Object.values(keep).some(Boolean) ? seewhy.hashOf(keep) : ""}`));
    seewhy.recordView(document.getElementById("record"), data.record, data.run, {
      state: given,
      onState(choice) {
        const now = Object.fromEntries(Object.entries(CONTROLS).map(([short, name]) => [short, choice[name] ?? ""]));
        for (const short of Object.keys(keep)) keep[short] = now[short];
        seewhy.note(now);
      },
      previous: go(data.hrefs.previous),
      next: go(data.hrefs.next),
      back: go(data.hrefs.back),
      position: data.position,
    });
  };

  function submitOnChange() {
    for (const form of document.querySelectorAll("[data-submit-on-change]")) form.addEventListener("change", () => form.requestSubmit());
  }

  function start() {
    const holder = document.getElementById("page");
    const main = document.getElementById("app");
    const view = views[document.body.dataset.view];
    submitOnChange();
    if (view) view(main, holder ? JSON.parse(holder.textContent) : null);
    document.documentElement.dataset.ready = "";
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})((window.seewhy = window.seewhy || {}));
