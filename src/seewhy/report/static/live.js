/* The page of live questions: a form on what the models offer, one question at a time, and the answers below. */
(function (seewhy) {
  "use strict";

  const KEPT = ["split", "record", "method", "layer", "target"];

  function stateOfAddress() {
    return Object.fromEntries([...new URLSearchParams(window.location.search)].filter(([name]) => KEPT.includes(name)));
  }

  function note(state) {
    const kept = Object.entries(state).filter(([name, value]) => KEPT.includes(name) && value !== "" && value !== null);
    const query = new URLSearchParams(kept.map(([name, value]) => [name, String(value)])).toString();
    window.history.replaceState(null, "", query ? `?${query}` : window.location.pathname);
  }

  /** What all models offer: a question goes to each of them. */
  function common(offers) {
    const [first, ...others] = offers;
    const everywhere = (name, entry) => others.every((one) => one[name].some((other) => other.name === entry.name));
    const reason = (name, entry) => [first, ...others].map((one) => one[name].find((other) => other.name === entry.name)).map((one) => one.why_not).find(Boolean) || "";
    const suited = (name) => first[name].filter((entry) => everywhere(name, entry)).map((entry) => ({ ...entry, why_not: reason(name, entry) }));
    return { ...first, methods: suited("methods"), metrics: suited("metrics"), layers: first.layers.filter((layer) => everywhere("layers", layer)) };
  }

  function introduction(offers) {
    const lines = offers.map(function (one) {
      const words = [`${one.title}: ${one.weights.text} (${one.weights.loaded}).`, one.records.why_not && `Records cannot be asked about: ${one.records.why_not}.`,
        one.images.why_not && `Pictures cannot be dropped in: ${one.images.why_not}.`, ...one.data.differs, ...one.notes];
      return seewhy.el("p", { className: one.weights.same ? "quiet" : "notice", text: words.filter(Boolean).join(" ") });
    });
    return seewhy.el("div", {}, lines);
  }

  function subjectChoice(offers, given, told) {
    const first = offers[0];
    const record = offers.every((one) => !one.records.why_not) ? seewhy.recordField(first, given) : null;
    const picture = offers.every((one) => !one.images.why_not) ? seewhy.pictureField(first, told) : null;
    const kinds = [record && ["record", "A record"], picture && ["image", "A picture"]].filter(Boolean);
    let kind = kinds.length ? kinds[0][0] : "";
    const fields = { record, image: picture };
    function show() {
      for (const [name, field] of Object.entries(fields)) if (field) field.element.hidden = name !== kind;
    }
    const choose = seewhy.select("about", kinds, kind, function (chosen) {
      kind = chosen;
      show();
      fields[kind].focus();
    });
    show();
    const element = seewhy.el("div", { className: "live-subject" }, kinds.length > 1 ? seewhy.labelled("About", choose) : null,
      record && record.element, picture && picture.element);
    return { element, kind: () => kind, chosen: async () => (kind ? fields[kind].chosen() : null), again: () => kind === "image" && picture.again() };
  }

  class Page {
    constructor(container, offers) {
      this.offers = offers;
      this.common = common(offers);
      this.state = stateOfAddress();
      this.status = seewhy.el("p", { className: "live-status", role: "status", "aria-live": "polite" });
      this.errors = seewhy.el("div", {});
      this.answers = seewhy.el("div", {});
      this.leave = () => undefined;
      this.form = this.makeForm();
      seewhy.replace(container, introduction(offers), this.form, this.status, this.errors, this.answers);
      this.showMethod();
      if (this.state.record) this.ask();
    }

    makeForm() {
      const offers = this.common;
      const given = this.state.record ? { id: this.state.record, split: this.state.split || offers.records.splits[0] } : null;
      this.subject = subjectChoice(this.offers, given, (words, wrong) => (wrong ? this.failed(words) : this.tell(words)));
      const [method, unsuited] = seewhy.methodField(offers, this.state.method || "gradcam", () => this.showMethod());
      this.layer = seewhy.layerField(offers, this.state.layer);
      this.settings = seewhy.el("div", {});
      this.purpose = seewhy.el("p", { className: "quiet" });
      this.button = seewhy.el("button", { type: "submit", className: "live-ask", text: "Ask" });
      this.stop = seewhy.el("button", { type: "button", text: "Cancel", hidden: true, on: { click: () => this.waiting && this.waiting.abort() } });
      const fields = seewhy.el("div", { className: "controls" }, method, this.layer, seewhy.classField(offers, this.state.target));
      const form = seewhy.el("form", { className: "panel live-form", "aria-label": "A question" }, this.subject.element, fields,
        this.purpose, this.settings, seewhy.metricFields(offers), unsuited, seewhy.el("div", { className: "live-buttons" }, this.button, this.stop));
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        this.ask();
      });
      return form;
    }

    method() {
      const name = this.form.elements.method.value;
      return this.common.methods.find((method) => method.name === name);
    }

    showMethod() {
      const method = this.method();
      this.layer.hidden = !method || !method.layer;
      this.purpose.textContent = method ? `${method.purpose} ${method.cite}` : "No method suits this model.";
      seewhy.replace(this.settings, seewhy.settingFields(method));
    }

    tell(words) {
      seewhy.replace(this.errors);
      this.status.textContent = words;
    }

    failed(error) {
      this.status.textContent = "";
      seewhy.replace(this.errors, seewhy.liveError(error));
    }

    async question() {
      const method = this.method();
      const chosen = await this.subject.chosen();
      if (!chosen) throw new Error(this.subject.kind() === "image" ? "Drop in a picture first." : "Name a record first.");
      const ticked = [...this.form.querySelectorAll("[name='metric']:checked")].map((box) => box.value);
      const layer = method.layer ? this.form.elements.layer.value || null : null;
      const target = seewhy.targetGiven(this.form.elements.target.value.trim());
      return { [this.subject.kind()]: chosen, method: method.name, layer, target, settings: seewhy.settingsGiven(this.form, method), metrics: ticked };
    }

    async ask() {
      this.busy(true);
      this.tell("Asking the model …");
      try {
        const question = await this.question();
        const began = performance.now();
        const told = await Promise.allSettled(this.offers.map((_, run) => this.send({ run, ...question })));
        this.show(told);
        this.tell(`Answered in ${((performance.now() - began) / 1000).toFixed(1)} s.`);
        for (const one of told) if (one.status === "rejected") this.errors.append(seewhy.liveError(one.reason));
        const record = question.record || { split: "", id: "" };
        note({ split: record.split, record: record.id, method: question.method, layer: question.layer, target: question.target });
      } catch (error) {
        if (error.name === "AbortError") this.tell("Cancelled.");
        else this.failed(error);
        if (error.told && error.told.code === "SW-W43") this.subject.again();
      }
      this.busy(false);
    }

    /** Draw the answers there are; where there is none, the first error is what came of the question. */
    show(told) {
      const there = told.map((one, run) => ({ ...one, run })).filter((one) => one.status === "fulfilled");
      if (!there.length) throw told[0].reason;
      this.leave();
      this.leave = seewhy.liveAnswers(this.answers, there.map((one) => one.value), there.map((one) => this.offers[one.run]), told.length > 1);
      this.answers.scrollIntoView({ block: "nearest" });
    }

    async send(question) {
      const answer = await fetch("/live/ask", {
        method: "POST", body: JSON.stringify(question), headers: { "content-type": "application/json" }, signal: this.waiting.signal,
      });
      return seewhy.liveAnswer(answer);
    }

    busy(waits) {
      this.waiting = new AbortController();
      this.button.disabled = waits;
      this.stop.hidden = !waits;
      this.form.setAttribute("aria-busy", String(waits));
    }
  }

  async function start() {
    const container = document.getElementById("live");
    if (!container) return;
    try {
      const offers = await seewhy.liveAnswer(await fetch("/live/offers"));
      seewhy.livePage = new Page(container, offers);
    } catch (error) {
      seewhy.replace(container, seewhy.liveError(error));
    }
  }

  document.addEventListener("DOMContentLoaded", start);
})((window.seewhy = window.seewhy || {}));
