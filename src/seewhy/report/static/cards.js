/* A record as a card: its picture with the predicted class's map, what was said, and whether it was right. */
(function (seewhy) {
  "use strict";

  const PIXELS = 96; // of a map on a card, along its longer side

  function picture(record, choice) {
    const map = choice && seewhy.cardMap(record, choice);
    const input = record.inputs && (choice && choice.input ? record.inputs.find((one) => one.name === choice.input) : record.inputs[0]);
    if (!input) return seewhy.el("span", { className: "placeholder", text: record.status === "failed" ? "could not be shown" : "no picture kept" });
    const first = { ...input, tiles: 1 };
    const source = seewhy.safeSource(input.src);
    if (!source) return seewhy.el("span", { className: "placeholder", text: "no picture kept" });
    const middle = Math.floor((input.tiles || 1) / 2);
    const image = seewhy.el("img", { src: source, alt: "", loading: "lazy", decoding: "async" });
    image.style.width = `${100 * (input.tiles || 1)}%`;
    image.style.marginLeft = `${-100 * middle}%`;
    if (input.width && input.width <= 128) image.classList.add("pixels");
    const box = seewhy.el("span", { className: "tile" }, image);
    box.style.aspectRatio = `${first.width || 1} / ${first.height || 1}`;
    if (map) box.append(overlay(record, map, input, middle, choice));
    else if (choice && record.maps.length) box.append(seewhy.el("span", { className: "card-without", text: "no such map" }));
    return box;
  }

  function overlay(record, map, input, tile, choice) {
    const look = seewhy.lookOf(record, map, { ...choice, scale: "own" });
    const canvas = seewhy.el("canvas", { className: "heat", "aria-hidden": "true" });
    const [width, height] = [input.width || 96, input.height || 96];
    const times = PIXELS / Math.max(width, height);
    const found = seewhy.heat(canvas, map, { ...look, width: Math.round(width * times), height: Math.round(height * times), tile: map.tiles > 1 ? tile : 0 });
    canvas.style.opacity = String(choice.opacity);
    canvas.dataset.state = found.state;
    return canvas;
  }

  /** The map a card shows, the predicted class's: of the group asked for, or of one that differs by its question only. */
  seewhy.cardMap = function (record, choice) {
    const same = (group) => group.key === choice.question || (group.label === choice.label && group.input === choice.input);
    const groups = seewhy.mapGroups(record).filter(same);
    groups.sort((one, other) => Number(other.key === choice.question) - Number(one.key === choice.question));
    return groups.map((group) => seewhy.mapOf(group, record.predicted, "")).find(Boolean) || null;
  };

  function words(record, names) {
    if (record.status === "failed") return `failed at ${record.stage || "an unknown stage"}`;
    if (record.predicted === null || record.predicted === undefined) return "no class";
    const sure = record.confidence === null || record.confidence === undefined ? "" : `, ${seewhy.percent(record.confidence)}`;
    return `${seewhy.className(record.predicted, names)}${sure}`;
  }

  function truth(record, names) {
    if (record.status === "failed") return record.error ? record.error.split("\n")[0] : "";
    return record.right === false ? `true: ${seewhy.className(record.label, names)}` : "";
  }

  /** A card that leads to `href`; `choice` {question, label, input, opacity, colormap, sign} of the map over the picture,
   *  or null. */
  seewhy.card = function (record, href, names, choice) {
    const second = truth(record, names);
    return seewhy.el(
      "li",
      { className: `card card-${seewhy.outcome(record).kind}` },
      seewhy.el(
        "a",
        { href },
        picture(record, choice),
        seewhy.el("span", { className: "card-id", text: record.id }),
        seewhy.el("span", { className: "card-words", text: words(record, names) }),
        second ? seewhy.el("span", { className: "card-truth", text: second }) : null,
        seewhy.badge(record),
      ),
    );
  };
})((window.seewhy = window.seewhy || {}));
