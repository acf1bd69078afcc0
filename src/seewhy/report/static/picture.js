/* One input of a record, tile by tile, with a map over it where one is wanted. */
(function (seewhy) {
  "use strict";

  const WIDTH = 384; // pixels across that a map is drawn with, so that enlarging the picture does not blur it
  const WORDS = { slices: "slice", frames: "frame" };

  function tileName(input, tile) {
    const word = WORDS[input.kind];
    return word && input.of > 1 ? `${word} ${input.shown[tile] + 1} of ${input.of}` : "";
  }

  function photo(input, tile, words) {
    const source = seewhy.safeSource(input.src);
    if (!source) return seewhy.el("p", { className: "placeholder", text: "no picture kept" });
    const image = seewhy.el("img", { src: source, alt: words, decoding: "async", draggable: "false" });
    image.style.width = `${100 * input.tiles}%`;
    image.style.marginLeft = `${-100 * tile}%`;
    if (input.width && input.width <= 128) image.classList.add("pixels");
    return image;
  }

  function overlay(map, look, size, tile, words) {
    const canvas = seewhy.el("canvas", { className: "heat", role: "img", "aria-label": words });
    const times = Math.max(1, Math.ceil(WIDTH / size.width));
    const wanted = { ...look, width: size.width * times, height: size.height * times, tile };
    const found = seewhy.heat(canvas, map, wanted);
    canvas.style.opacity = String(look.opacity);
    canvas.dataset.state = found.state;
    return canvas;
  }

  function sizeOf(input, map) {
    if (input.width && input.height) return { width: input.width, height: input.height };
    const enlarge = map ? Math.ceil(192 / Math.max(map.width, map.height)) : 1;
    return map ? { width: map.width * enlarge, height: map.height * enlarge } : { width: 4, height: 3 };
  }

  /** Whether a page shows some of an input's slices or frames only. */
  const partly = (input) => input.kind in WORDS && input.of > (input.tiles || 1);
  seewhy.partly = partly;

  /**
   * The tiles of an input: `map` (or null) over each with `look` {colormap, scale, reference, opacity}.
   *
   * `words` say what the picture is, for readers who do not see it.
   */
  seewhy.tiles = function (input, map, look, words) {
    const size = sizeOf(input, map);
    const count = input.tiles || (map && map.tiles) || 1;
    const frame = seewhy.el("div", { className: count > 1 ? "tiles tiles-many" : "tiles" });
    for (let tile = 0; tile < count; tile += 1) {
      const name = tileName(input, tile);
      const box = seewhy.el("div", { className: "tile" }, photo(input, tile, name ? `${words}, ${name}` : words));
      box.style.aspectRatio = `${size.width} / ${size.height}`;
      if (map) box.append(overlay(map, look, size, tile, name ? `map of ${words}, ${name}` : `map of ${words}`));
      frame.append(name ? seewhy.el("div", { className: "tile-named" }, box, seewhy.el("span", { text: name })) : box);
    }
    return frame;
  };

  /** An input of a record by its name; one without a picture where the run kept none. */
  seewhy.inputOf = function (record, name) {
    const found = (record.inputs || []).find((input) => input.name === name);
    if (found) return found;
    if (!name && record.inputs && record.inputs.length) return record.inputs[0];
    return { name: name || "image", kind: "picture", src: null, tiles: 1, shown: [0], of: 1 };
  };

  /** A picture with its title, its map, its legend, and in words why nothing is drawn where nothing is. */
  seewhy.figure = function (title, input, map, look, options) {
    const { note = "", className = "" } = options || {};
    const figure = seewhy.el("figure", { className: `picture ${className}`.trim() });
    figure.append(seewhy.el("figcaption", seewhy.clipped(title, 110)), seewhy.tiles(input, map, look, title));
    if (map) {
      const found = seewhy.stateOf(map, look.scale);
      const reference = look.reference > 0 ? look.reference : seewhy.peakOf(map, look.scale);
      if (found.state === "drawn") figure.append(seewhy.legend({ ...look, of: partly(input) ? input.kind : "" }, reference, map.unit));
      else figure.append(seewhy.el("p", { className: "map-note", text: found.words }));
    }
    if (note) figure.append(seewhy.el("p", { className: "quiet", text: note }));
    return figure;
  };
})((window.seewhy = window.seewhy || {}));
