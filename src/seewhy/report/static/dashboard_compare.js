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
    /** A choice of one side in the other's terms: a class is the one of the same name, where both runs have names. */
    function inTerms(choice, from, to) {
      const [ours, theirs] = [from.run.class_names, to.run.class_names];
      if (!ours || !theirs || !/^\d+$/.test(String(choice.class ?? ""))) return choice;
      const index = theirs.indexOf(ours[Number(choice.class)]);
      return { ...choice, class: index < 0 ? "" : String(index) };
    }

    const only = (state) => Object.fromEntries(SHARED.filter((name) => state[name] !== undefined && state[name] !== "").map((name) => [name, state[name]]));

    function draw(side, state) {
      side.view.destroy();
      side.view = seewhy.recordView(side.holder, side.record, side.run, {
        state,
        onState(choice) {
          for (const other of sides) if (other !== side) draw(other, inTerms(only(choice), side, other));
        },
      });
    }

    for (const side of sides) draw(side, {});
  };
})((window.seewhy = window.seewhy || {}));
