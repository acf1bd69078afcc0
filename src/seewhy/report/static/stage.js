/* Which maps of a record are looked at, and how: from a reader's choices to looks. */
(function (seewhy) {
  "use strict";

  /** A record's maps in groups that differ only by class and variant: `{key, label, method, maps}`. */
  seewhy.mapGroups = function (record) {
    const groups = new Map();
    const several = new Set((record.maps || []).map((map) => map.input)).size > 1;
    for (const map of record.maps || []) {
      const key = `${map.question}|${map.input ?? ""}`;
      if (!groups.has(key)) {
        const label = [map.method, map.layer && `at ${map.layer}`, several && `of ${map.input}`].filter(Boolean).join(" ");
        groups.set(key, { key, label, method: map.method, input: map.input, maps: [] });
      }
      groups.get(key).maps.push(map);
    }
    return [...groups.values()];
  };

  function distinct(values) {
    return [...new Set(values)];
  }

  seewhy.classesOf = function (group) {
    return distinct(group.maps.map((map) => map.class)).filter((index) => index !== null && index !== undefined);
  };

  seewhy.variantsOf = function (group) {
    return distinct(group.maps.map((map) => map.variant || ""));
  };

  /** The map of a group that is nearest to a class and a variant; null where it has none. */
  seewhy.mapOf = function (group, index, variant) {
    const same = group.maps.filter((map) => map.class === null || map.class === undefined || map.class === index);
    return same.find((map) => (map.variant || "") === variant) || same[0] || null;
  };

  /** A reader's choices, completed: what is missing or does not exist in this record becomes the usual. */
  seewhy.settle = function (record, given) {
    const groups = seewhy.mapGroups(record);
    const group = groups.find((one) => one.key === given.question) || groups[0] || null;
    const classes = group ? seewhy.classesOf(group) : [];
    const asked = given.class === undefined || given.class === "" ? record.predicted : Number(given.class);
    const index = classes.includes(asked) ? asked : classes.includes(record.predicted) ? record.predicted : classes[0] ?? null;
    const variants = group ? seewhy.variantsOf(group) : [""];
    const opacity = Number(given.opacity);
    return {
      groups,
      group,
      classes,
      class: index,
      variants,
      variant: variants.includes(given.variant) ? given.variant : variants[0],
      colormap: given.colormap || "",
      opacity: given.opacity !== undefined && given.opacity !== "" && opacity >= 0 && opacity <= 1 ? opacity : 0.6,
      scale: given.scale === "shared" ? "shared" : "own",
      sign: given.sign === "signed" || given.sign === "positive" ? given.sign : "",
    };
  };

  /** The colour map for a scale: the reader's where it fits, since signs need a table with white in the middle. */
  seewhy.colormapFor = function (chosen, scale) {
    const names = seewhy.colormapNames();
    const fits = names.includes(chosen) && seewhy.isDiverging(chosen) === (scale === "diverging");
    return fits ? chosen : seewhy.usualColormap(scale);
  };

  /** The maps that share a scale with one: of its method and layer, and of other inputs at the first layer of each. */
  seewhy.peersOf = function (record, map) {
    const alike = record.maps.filter((other) => other.method === map.method);
    const layerOf = (input) => (input === map.input ? map.layer : alike.find((other) => other.input === input).layer);
    return alike.filter((other) => other.layer === layerOf(other.input));
  };

  /** How one map is drawn; a shared scale is that of its peers. */
  seewhy.lookOf = function (record, map, choice) {
    const scale = seewhy.scaleOf(map, choice.sign);
    const shared = choice.scale === "shared";
    const most = shared ? Math.max(0, ...seewhy.peersOf(record, map).map((other) => seewhy.peakOf(other, scale)).filter(Number.isFinite)) : 0;
    return { scale, shared, reference: most, opacity: choice.opacity, colormap: seewhy.colormapFor(choice.colormap, scale) };
  };

  /** A class in words, with what it is to this record. */
  seewhy.classRole = function (record, index, names) {
    const roles = [index === record.predicted && "predicted", index === record.label && record.right !== null && "true"];
    const told = roles.filter(Boolean).join(", ");
    return `${seewhy.className(index, names)}${told ? `: ${told}` : ""}`;
  };
})((window.seewhy = window.seewhy || {}));
