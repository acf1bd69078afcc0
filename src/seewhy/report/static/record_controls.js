/* The controls of a record page: what is asked, and how its map is drawn. */
(function (seewhy) {
  "use strict";

  function slider(choice, change) {
    const input = seewhy.el("input", { type: "range", name: "opacity", min: 0, max: 1, step: 0.05, value: choice.opacity });
    const output = seewhy.el("output", { text: seewhy.percent(choice.opacity) });
    input.addEventListener("input", function () {
      output.textContent = seewhy.percent(Number(input.value));
      change({ opacity: Number(input.value) }, "opacity");
    });
    return seewhy.labelled("Opacity", seewhy.el("span", { className: "slider" }, input, output));
  }

  function colormaps(record, choice, change) {
    const map = seewhy.mapOf(choice.group, choice.class, choice.variant);
    const scale = map ? seewhy.scaleOf(map, choice.sign) : "positive";
    const names = seewhy.colormapNames().filter((name) => seewhy.isDiverging(name) === (scale === "diverging"));
    const chosen = seewhy.colormapFor(choice.colormap, scale);
    return seewhy.select("colormap", names.map((name) => [name, name]), chosen, (colormap) => change({ colormap }));
  }

  /** Of a map that is about a class, what speaks against it too; of any other, where it has values below zero. */
  function signs(choice, change) {
    const map = seewhy.mapOf(choice.group, choice.class, choice.variant);
    const ofClass = map && map.class !== null && map.class !== undefined;
    if (map && !ofClass && !(map.trough > 0)) return null;
    if (map && !ofClass) return named("Values", [["positive", "above zero only"], ["signed", "above and below zero"]], map, choice, change);
    const plain = map && map.scale === "magnitude" ? "size only" : "for the class only";
    return named("Evidence", [["positive", plain], ["signed", "for and against"]], map, choice, change);
  }

  function named(words, pairs, map, choice, change) {
    const shown = map && seewhy.scaleOf(map, choice.sign) === "diverging" ? "signed" : "positive";
    return seewhy.labelled(words, seewhy.select("sign", pairs, shown, (sign) => change({ sign })));
  }

  /** Whether each map has a scale of its own; nothing where a map has no peer. */
  function scales(record, choice, change) {
    const map = seewhy.mapOf(choice.group, choice.class, choice.variant);
    const peers = map ? seewhy.peersOf(record, map) : [];
    if (peers.length < 2) return null;
    const kinds = [["class", "classes"], ["input", "inputs"], ["variant", "heads"]];
    const differ = kinds.filter(([key]) => new Set(peers.map((one) => one[key])).size > 1).map(([, words]) => words);
    const words = differ.length ? `shared by all ${differ.join(" and ")}` : "shared by all maps of the method";
    return seewhy.labelled("Scale", seewhy.select("scale", [["own", "own"], ["shared", words]], choice.scale, (scale) => change({ scale })));
  }

  /** A form of controls; `change(part of the choice, what is being dragged)` is called at once. */
  seewhy.recordControls = function (record, run, choice, change) {
    const form = seewhy.el("form", { className: "controls", "aria-label": "How the map is drawn", on: { submit: (event) => event.preventDefault() } });
    const groups = choice.groups.map((group) => [group.key, group.label]);
    form.append(seewhy.labelled("Method", seewhy.select("question", groups, choice.group.key, (question) => change({ question }))));
    if (choice.classes.length) {
      const classes = choice.classes.map((index) => [String(index), seewhy.classRole(record, index, run.class_names)]);
      form.append(seewhy.labelled("Class", seewhy.select("class", classes, String(choice.class), (index) => change({ class: index }))));
    }
    if (choice.variants.length > 1) {
      const variants = choice.variants.map((variant) => [variant, variant || "all together"]);
      form.append(seewhy.labelled("Part", seewhy.select("variant", variants, choice.variant, (variant) => change({ variant }))));
    }
    form.append(...[
      slider(choice, change),
      seewhy.labelled("Colours", colormaps(record, choice, change)),
      signs(choice, change),
      scales(record, choice, change),
    ].filter(Boolean));
    return form;
  };
})((window.seewhy = window.seewhy || {}));
