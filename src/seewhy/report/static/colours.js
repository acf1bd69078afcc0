/* Colour tables of 256 steps, and colours of classes. */
(function (seewhy) {
  "use strict";

  const tables = new Map();

  /** The colours of classes, as `render.palette` has them: told apart with every common form of colour blindness first. */
  seewhy.palette = [
    [230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [0, 114, 178], [213, 94, 0], [204, 121, 167],
    [136, 34, 85], [51, 34, 136], [150, 220, 40], [255, 195, 205], [0, 225, 225], [193, 0, 32], [0, 80, 45],
    [140, 90, 40], [190, 160, 255], [150, 60, 220], [255, 125, 95], [110, 120, 130], [110, 110, 10], [225, 210, 165],
  ];

  seewhy.bytes = function (base64) {
    const text = window.atob(base64);
    const bytes = new Uint8Array(text.length);
    for (let place = 0; place < text.length; place += 1) bytes[place] = text.charCodeAt(place);
    return bytes;
  };

  /** Tables by name, each base64 of 256 × 3 bytes; call once before anything is drawn. */
  seewhy.useColormaps = function (given) {
    for (const [name, text] of Object.entries(given)) tables.set(name, seewhy.bytes(text));
  };

  seewhy.colormapNames = function () {
    return [...tables.keys()];
  };

  /** The table of a name, 768 bytes, low values first. */
  seewhy.colormap = function (name) {
    const table = tables.get(name);
    if (!table) throw new Error(`there is no colour map ${name}`);
    return table;
  };

  /** The map drawn where nobody chose: one that colour-blind readers can follow, with white for zero where signs matter. */
  seewhy.usualColormap = function (scale) {
    const wanted = scale === "diverging" ? ["rdbu_r"] : ["viridis", "cividis"];
    return wanted.find((name) => tables.has(name)) || seewhy.colormapNames()[0];
  };

  seewhy.isDiverging = function (name) {
    return /^(rdbu|rdylgn|coolwarm|seismic|bwr|piyg|prgn|brbg|puor)/.test(name);
  };

  /** A class's colour as CSS, the same on every page; hues a golden turn apart behind the table. */
  seewhy.classColour = function (index) {
    if (index === null || index === undefined || index < 0) return "#8a93a0";
    if (index < seewhy.palette.length) return `rgb(${seewhy.palette[index].join(" ")})`;
    const hue = Math.round(((index * 0.6180339887) % 1) * 360);
    return `hsl(${hue} ${[80, 50, 65][index % 3]}% ${[55, 40, 65, 48][index % 4]}%)`;
  };
})((window.seewhy = window.seewhy || {}));
