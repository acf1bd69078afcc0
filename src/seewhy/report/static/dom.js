/* Elements made in one line; text goes in as text only. */
(function (seewhy) {
  "use strict";

  const SVG = "http://www.w3.org/2000/svg";

  function fill(element, options, children) {
    for (const [name, value] of Object.entries(options || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name === "text") element.textContent = value;
      else if (name === "on") for (const [event, act] of Object.entries(value)) element.addEventListener(event, act);
      else if (name === "style") Object.assign(element.style, value);
      else element.setAttribute(name === "className" ? "class" : name, value === true ? "" : String(value));
    }
    for (const child of children) {
      if (child === null || child === undefined || child === false) continue;
      element.append(child);
    }
    return element;
  }

  /** `el("a", {href, text, className, on: {click}, style: {width}}, …children)`; empty values are left out. */
  seewhy.el = function (tag, options, ...children) {
    return fill(document.createElement(tag), options, children.flat());
  };

  /** The same for SVG. */
  seewhy.svg = function (tag, options, ...children) {
    return fill(document.createElementNS(SVG, tag), options, children.flat());
  };

  /** Replace everything in a container. */
  seewhy.replace = function (container, ...children) {
    container.replaceChildren(...children.flat().filter(Boolean));
  };

  const LONGEST = 80; // letters of a cell

  /** A sentence of ours: what stands between backticks is code. */
  seewhy.prose = function (text) {
    return String(text).split("`").map((part, place) => (place % 2 ? seewhy.el("code", { text: part }) : part));
  };

  /** A table with a caption; cells are texts, numbers or elements, `numeric` the columns that align right. */
  seewhy.table = function (caption, head, rows, options) {
    const { numeric = [], className = "" } = options || {};
    const kind = (place) => (numeric.includes(place) ? "number" : null);
    const worded = (text) => seewhy.el("span", seewhy.clipped(text, LONGEST));
    const cell = (tag, value, place, extra) =>
      seewhy.el(tag, { className: kind(place), ...extra }, value instanceof Node ? value : worded(String(value ?? "–")));
    const line = (row) =>
      seewhy.el("tr", {}, row.map((value, place) => (place ? cell("td", value, place) : cell("th", value, 0, { scope: "row" }))));
    return seewhy.el(
      "div",
      { className: "table-frame", tabindex: "0", role: "region", "aria-label": caption },
      seewhy.el(
        "table",
        { className },
        seewhy.el("caption", { text: caption }),
        seewhy.el("thead", {}, seewhy.el("tr", {}, head.map((value, place) => cell("th", value, place, { scope: "col" })))),
        seewhy.el("tbody", {}, rows.map(line)),
      ),
    );
  };

  /** A list of what and text; nothing where there is none. */
  seewhy.factList = function (pairs) {
    if (!pairs || !pairs.length) return null;
    return seewhy.el(
      "dl",
      { className: "facts" },
      pairs.map(([what, text]) => seewhy.el("div", {}, seewhy.el("dt", { text: what }), seewhy.el("dd", { text: String(text) }))),
    );
  };

  /** A labelled control: the label's text, then the control. */
  seewhy.labelled = function (text, control, className) {
    return seewhy.el("label", { className: `control ${className || ""}`.trim() }, seewhy.el("span", { text }), control);
  };

  /** A select of `[value, text]` pairs. */
  seewhy.select = function (name, pairs, chosen, change) {
    const select = seewhy.el("select", { name, on: { change: () => change(select.value) } });
    for (const [value, text] of pairs) select.append(seewhy.el("option", { value, selected: value === chosen, ...seewhy.clipped(text) }));
    return select;
  };
})((window.seewhy = window.seewhy || {}));
