/* One record in two runs: the same page twice, with controls that move together. */
(function (seewhy) {
  "use strict";

  const views = (seewhy.views = seewhy.views || {});
  const SHARED = ["question", "class", "variant", "opacity", "colormap", "scale", "sign"];

  views.compare = function (main, data) {
    const pair = document.getElementById("pair");
    if (!pair || !data) return;
    const link = (words, href, key) => (href ? seewhy.el("a", { className: "button", href, text: words, "aria-keyshortcuts": key }) : null);
    seewhy.replace(document.getElementById("pair-nav"), link("← Back", data.hrefs.back), link("‹ Previous", data.hrefs.previous), link("Next ›", data.hrefs.next));
    const sides = data.sides.map(function (side, place) {
      const holder = seewhy.el("div", {});
      pair.append(seewhy.el("section", { "aria-label": side.name }, seewhy.el("h3", {}, `${place ? "Second" : "First"} run: `, seewhy.el("a", { href: side.href, text: side.name })), holder));
      return { ...side, holder, view: { destroy() {} } };
    });
    const only = (state) => Object.fromEntries(SHARED.filter((name) => state[name] !== undefined && state[name] !== "").map((name) => [name, state[name]]));

    function draw(side, state) {
      side.view.destroy();
      side.view = seewhy.recordView(side.holder, side.record, side.run, {
        state,
        onState(choice) {
          for (const other of sides) if (other !== side) draw(other, only(choice));
        },
      });
    }

    for (const side of sides) draw(side, {});
  };
})((window.seewhy = window.seewhy || {}));
