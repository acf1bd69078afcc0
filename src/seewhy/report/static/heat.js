/* A raw map as colours: a fixed zero and one divisor, never min to max; a pixel without evidence stays clear. */
(function (seewhy) {
  "use strict";

  const MISSING = -128;
  const RAMP = { positive: 64, magnitude: 64, diverging: 128 };
  const decoded = new WeakMap();

  /** The codes of a map, tile after tile: -128 is not finite, the rest are 127 steps to either side's peak. */
  seewhy.codes = function (map) {
    if (!decoded.has(map)) {
      const bytes = seewhy.bytes(map.codes);
      decoded.set(map, new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length));
    }
    return decoded.get(map);
  };

  /** What one step of a code is worth above and below zero; one `peak` serves both where there is no `trough`. */
  function unitsOf(map) {
    return { above: map.peak / 127, below: (map.trough ?? map.peak) / 127 };
  }

  /** How a map is drawn where nobody chose: as its method says. */
  seewhy.scaleOf = function (map, sign) {
    if (sign === "signed") return "diverging";
    return sign === "positive" && map.scale === "diverging" ? "positive" : map.scale;
  };

  /** The raw value that a map has at full colour on a scale; 0 where it holds nothing to show. */
  seewhy.peakOf = function (map, scale) {
    const unit = unitsOf(map);
    let [most, least] = [0, 0];
    for (const code of seewhy.codes(map)) {
      if (code === MISSING) continue;
      if (code > most) most = code;
      else if (code < least) least = code;
    }
    const [high, low] = [most * unit.above, -least * unit.below];
    return scale === "positive" ? high : Math.max(high, low);
  };

  /** Counts of a map's values in 50 steps from the lowest to the highest, as finely as its codes are. */
  seewhy.countsOf = function (map) {
    const unit = unitsOf(map);
    const known = [...seewhy.codes(map)].filter((code) => code !== MISSING);
    const values = known.map((code) => code * (code < 0 ? unit.below : unit.above));
    const low = values.reduce((least, value) => Math.min(least, value), Infinity);
    const high = values.reduce((most, value) => Math.max(most, value), -Infinity);
    if (!(high > low)) return null;
    const counts = new Array(50).fill(0);
    for (const value of values) counts[Math.min(49, Math.floor((50 * (value - low)) / (high - low)))] += 1;
    return { edges: [...Array(51).keys()].map((step) => low + (step * (high - low)) / 50), counts };
  };

  function missingIn(map) {
    if (map.statistics && Number.isFinite(map.statistics.nonfinite)) return map.statistics.nonfinite;
    return seewhy.codes(map).reduce((sum, code) => sum + (code === MISSING ? 1 : 0), 0);
  }

  /** What can be said before drawing: `drawn`, `zero` or `nonfinite`, with the words for the last two. */
  seewhy.stateOf = function (map, scale) {
    const missing = missingIn(map);
    if (missing > 0) {
      return { state: "nonfinite", words: `${seewhy.count(missing, "value")} of this map not finite (NaN or infinite): nothing is drawn` };
    }
    if (seewhy.peakOf(map, scale) > 0) return { state: "drawn", words: "" };
    return { state: "zero", words: scale === "positive" ? "no positive evidence" : "the map is zero everywhere" };
  };

  function shares(codes, unit, reference, scale) {
    const values = new Float32Array(codes.length);
    for (let place = 0; place < codes.length; place += 1) {
      const raw = codes[place] * (codes[place] < 0 ? unit.below : unit.above);
      const share = Math.min(Math.max(raw / reference, -1), 1);
      if (scale === "positive") values[place] = share > 0 ? share : 0;
      else values[place] = scale === "magnitude" ? Math.abs(share) : (share + 1) / 2;
    }
    return values;
  }

  /** How opaque each step of a table is: clear at zero, full from a quarter of the scale (half of a signed one). */
  seewhy.rampOf = function (scale) {
    const ramp = new Uint8ClampedArray(256);
    for (let step = 0; step < 256; step += 1) {
      const strength = scale === "diverging" ? 2 * Math.abs(step - 128) : step;
      ramp[step] = Math.round(255 * Math.min(1, strength / RAMP[scale]));
    }
    return ramp;
  };

  function paint(context, values, left, size, table, ramp) {
    const image = context.createImageData(size.width, size.height);
    for (let place = 0; place < values.length; place += 1) {
      const step = Math.round(255 * Math.min(Math.max(values[place], 0), 1));
      image.data[4 * place] = table[3 * step];
      image.data[4 * place + 1] = table[3 * step + 1];
      image.data[4 * place + 2] = table[3 * step + 2];
      image.data[4 * place + 3] = ramp[step];
    }
    context.putImageData(image, left, 0);
  }

  /**
   * Draw a map on a canvas, each tile on its own; what cannot be drawn leaves the canvas clear, and is told in words.
   *
   * Options: `colormap`, `scale` (positive, magnitude, diverging), `reference` (the raw value at full colour; the map's
   * own peak if absent), `width` and `height` of a tile in pixels, `tile` (only this one; all side by side if absent).
   */
  seewhy.heat = function (canvas, map, options) {
    const scale = options.scale || map.scale;
    const size = { width: options.width || map.width, height: options.height || map.height };
    const wanted = options.tile === undefined ? [...Array(map.tiles || 1).keys()] : [options.tile];
    canvas.width = size.width * wanted.length;
    canvas.height = size.height;
    const found = seewhy.stateOf(map, scale);
    const reference = options.reference > 0 ? options.reference : seewhy.peakOf(map, scale);
    if (found.state !== "drawn") return { ...found, reference };
    const context = canvas.getContext("2d");
    const table = seewhy.colormap(options.colormap || seewhy.usualColormap(scale));
    const cells = map.height * map.width;
    wanted.forEach(function (tile, position) {
      const codes = seewhy.codes(map).subarray(tile * cells, (tile + 1) * cells);
      const values = shares(codes, unitsOf(map), reference, scale);
      const pixels = seewhy.resample(values, map.height, map.width, size.height, size.width);
      paint(context, pixels, position * size.width, size, table, seewhy.rampOf(scale));
    });
    return { ...found, reference };
  };
})((window.seewhy = window.seewhy || {}));
