/* The strip under a picture that says what its colours mean, with units. */
(function (seewhy) {
  "use strict";

  /** The bar of a table as it looks at full strength over grey: clear where the scale is zero. */
  function bar(name, scale, opacity) {
    const canvas = seewhy.el("canvas", { width: 256, height: 1, "aria-hidden": "true", style: { opacity: String(opacity) } });
    const context = canvas.getContext("2d");
    const image = context.createImageData(256, 1);
    const table = seewhy.colormap(name);
    const ramp = seewhy.rampOf(scale);
    for (let step = 0; step < 256; step += 1) {
      image.data.set([table[3 * step], table[3 * step + 1], table[3 * step + 2], ramp[step]], 4 * step);
    }
    context.putImageData(image, 0, 0);
    return seewhy.el("div", { className: "legend-bar" }, canvas);
  }

  const MEANING = {
    positive: "values below zero are not drawn",
    magnitude: "size, whatever the sign",
    diverging: "below zero against, above zero for",
  };

  /** What a look means: ends of the scale in raw values, the unit, and whether the scale is the map's own; `of` are the slices or frames it is taken from. */
  seewhy.legend = function (look, reference, unit) {
    const end = seewhy.number(reference);
    const low = look.scale === "diverging" ? `−${end}` : "0";
    const words = `${unit || "raw value"}; ${MEANING[look.scale]}; ${look.shared ? "shared" : "own"} scale${look.of ? ` of the ${look.of} shown` : ""}`;
    return seewhy.el(
      "div",
      { className: "legend", role: "img", "aria-label": `Colours from ${low} to ${end}: ${words}` },
      seewhy.el("span", { className: "legend-end", text: low }),
      bar(look.colormap, look.scale, look.opacity),
      seewhy.el("span", { className: "legend-end", text: end }),
      seewhy.el("span", { className: "legend-unit", text: words }),
    );
  };
})((window.seewhy = window.seewhy || {}));
