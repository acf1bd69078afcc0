/* The form of a live question: method, settings, layer, class and grades, as the model offers them. */
(function (seewhy) {
  "use strict";

  const MOST_NAMES = 1000; // classes that a select lists; beyond it a number or a name is typed

  function suited(entries) {
    return entries.filter((entry) => !entry.why_not);
  }

  function unsuited(entries, words) {
    const found = entries.filter((entry) => entry.why_not);
    if (!found.length) return null;
    const lines = found.map((entry) => seewhy.el("li", {}, seewhy.el("strong", { text: entry.name }), ` ${entry.why_not}`));
    const summary = seewhy.el("summary", { text: `${found.length} ${words} do not suit this model` });
    return seewhy.el("details", { className: "live-unsuited quiet" }, summary, seewhy.el("ul", {}, lines));
  }

  function settingField(setting) {
    const name = `setting:${setting.name}`;
    const word = seewhy.labelled;
    if (setting.kind === "truth") {
      const pairs = [["true", "yes"], ["false", "no"]];
      return word(setting.name, seewhy.select(name, pairs, String(setting.default), () => undefined));
    }
    const number = setting.kind !== "word";
    const step = setting.kind === "whole" ? 1 : "any";
    const kind = number ? { type: "number", step } : { type: "text", maxlength: 200 };
    return word(setting.name, seewhy.el("input", { name, value: setting.default, ...kind }));
  }

  /** A control for each setting of a method; nothing for a method without settings. */
  seewhy.settingFields = function (method) {
    if (!method || !method.settings.length) return null;
    const fields = seewhy.el("div", { className: "controls" }, method.settings.map(settingField));
    return seewhy.el("details", { className: "live-settings" }, seewhy.el("summary", { text: `Settings of ${method.name}` }), fields);
  };

  function valueOf(setting, text) {
    if (setting.kind === "truth") return text === "true";
    return setting.kind === "word" ? text : Number(text);
  }

  /** The settings that differ from the method's own. */
  seewhy.settingsGiven = function (form, method) {
    const given = {};
    for (const setting of method.settings) {
      const field = form.elements[`setting:${setting.name}`];
      if (!field || field.value === "") continue;
      const value = valueOf(setting, field.value);
      if (value !== setting.default) given[setting.name] = value;
    }
    return given;
  };

  seewhy.methodField = function (offers, chosen, change) {
    const methods = suited(offers.methods);
    const names = methods.map((method) => [method.name, method.name]);
    const usual = methods.some((method) => method.name === chosen) ? chosen : names.length ? names[0][0] : "";
    return [seewhy.labelled("Method", seewhy.select("method", names, usual, change)), unsuited(offers.methods, "methods")];
  };

  seewhy.layerField = function (offers, chosen) {
    const defaults = offers.layers.filter((layer) => layer.default).map((layer) => layer.name);
    const words = (layer) => `${layer.name} (${layer.grid.join(" × ")}${layer.default ? ", default" : ""})`;
    const pairs = [["", defaults.length ? `default: ${defaults.join(", ")}` : "default"], ...offers.layers.map((layer) => [layer.name, words(layer)])];
    return seewhy.labelled("Layer", seewhy.select("layer", pairs, chosen || "", () => undefined));
  };

  seewhy.classField = function (offers, chosen) {
    const names = offers.class_names;
    const count = names ? names.length : offers.classes;
    if (!count || count > MOST_NAMES) {
      const words = count ? `predicted, or a number to ${count - 1}${names ? ", or a name" : ""}` : "no classes";
      return seewhy.labelled("Class", seewhy.el("input", { name: "target", placeholder: words, value: chosen || "", disabled: !count }));
    }
    const pairs = [["", "the predicted class"]];
    for (let index = 0; index < count; index += 1) pairs.push([String(index), seewhy.className(index, names)]);
    return seewhy.labelled("Class", seewhy.select("target", pairs, chosen || "", () => undefined));
  };

  /** The class in words of a question: a number, a name, or null for the predicted one. */
  seewhy.targetGiven = function (text) {
    if (!text || text === "predicted") return null;
    return /^-?\d+$/.test(text) ? Number(text) : text;
  };

  function metricBox(metric) {
    const box = seewhy.el("input", { type: "checkbox", name: "metric", value: metric.name });
    box.dataset.usual = metric.usual && !metric.needs_mask ? "yes" : "";
    const arrow = { higher: "↑", lower: "↓" }[metric.better] || "";
    return seewhy.el("label", { className: "live-check", title: metric.purpose }, box, ` ${metric.name} ${arrow}`);
  }

  /** A box for each metric, by family; the usual ones can be ticked at once. */
  seewhy.metricFields = function (offers) {
    const metrics = suited(offers.metrics);
    const families = [...new Set(metrics.map((metric) => metric.family))];
    const body = families.map((family) => seewhy.el("fieldset", {}, seewhy.el("legend", { text: family }),
      metrics.filter((metric) => metric.family === family).map(metricBox)));
    const usual = seewhy.el("button", { type: "button", text: "Tick the usual ones" });
    const details = seewhy.el("details", { className: "live-metrics" }, seewhy.el("summary", { text: "Grades of the map, beside controls" }),
      seewhy.el("p", { className: "quiet", text: "Each grade asks the model again, tens to hundreds of times." }), usual, body);
    usual.addEventListener("click", function () {
      for (const box of details.querySelectorAll("[data-usual='yes']")) box.checked = true;
    });
    return details;
  };
})((window.seewhy = window.seewhy || {}));
