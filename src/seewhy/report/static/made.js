/* How a run was made: its fingerprint, versions, choices and the command to repeat it. */
(function (seewhy) {
  "use strict";

  function command(words) {
    const text = seewhy.el("code", { text: words });
    const said = seewhy.el("span", { className: "quiet", role: "status" });
    const copy = function () {
      const done = () => (said.textContent = "copied");
      const select = function () {
        window.getSelection().selectAllChildren(text);
        said.textContent = "selected: copy it with the keyboard";
      };
      if (navigator.clipboard) navigator.clipboard.writeText(words).then(done, select);
      else select();
    };
    return seewhy.el("div", { className: "command" }, seewhy.el("pre", { tabindex: "0" }, text), seewhy.el("button", { type: "button", text: "Copy", on: { click: copy } }), said);
  }

  /** Draw how the run was made. */
  seewhy.madeView = function (container, run) {
    const choices = Object.entries(run.choices || {});
    const commands = run.commands || [];
    seewhy.replace(
      container,
      seewhy.el("h2", { text: "How it was made", tabindex: "-1" }),
      seewhy.el("section", { className: "panel" }, seewhy.el("h3", { text: "Versions and fingerprint" }), seewhy.factList(run.made)),
      seewhy.el("section", { className: "panel" }, seewhy.el("h3", { text: "To repeat it" }),
        commands.length ? commands.map(command) : seewhy.el("p", { className: "quiet", text: "The command was not kept: the run was made from Python, or before commands were kept." })),
      choices.length ? seewhy.el("section", { className: "panel" }, seewhy.el("h3", { text: "What was chosen, and how" }), seewhy.factList(choices)) : null,
      seewhy.el("section", { className: "panel" }, seewhy.el("h3", { text: "How maps are drawn" }), seewhy.el("p", {
        text: "Zero stays zero and one divisor scales a map: its own highest value, or that of all classes where the scale is shared; never from lowest to highest. Maps are kept at the layer's own size and enlarged linearly. In this page they are rounded to 127 steps of their peak; the shards of the run hold them in full.",
      })),
    );
  };
})((window.seewhy = window.seewhy || {}));
