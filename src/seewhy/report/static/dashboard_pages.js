/* The dashboard's pages that are drawn from the run's own summary: overview, methods, how it was made, embedding map. */
(function (seewhy) {
  "use strict";

  const views = (seewhy.views = seewhy.views || {});
  const query = (pairs) => {
    const words = new URLSearchParams(Object.entries(pairs).filter(([, value]) => value !== "" && value !== null)).toString();
    return words ? `?${words}` : "";
  };

  views.overview = function (main, data) {
    const base = `/runs/${data.number}`;
    const by = data.run.classes_by === "prediction" ? "predicted" : "label";
    seewhy.overview(main, data.run, {
      recordHref: (failure) => `${base}/find${query({ split: failure.split, id: failure.id })}`,
      classHref: (index, wrong) => `${base}/records${query({ [by]: index, result: wrong ? "wrong" : "" })}`,
      resultHref: (result) => `${base}/records${query({ result })}`,
    });
  };

  /** `pca_of_train@layer3`, as the file is named, as points name themselves: `PCA of train at layer3`. */
  function titled(projection) {
    const [head, ...layer] = projection.split("@");
    const [method, ...splits] = head.split("_of_");
    return method.toUpperCase() + (splits.length ? ` of ${splits.join("_of_")}` : "") + (layer.length ? ` at ${layer.join("@")}` : "");
  }

  views.methods = (main, data) => seewhy.methodsView(main, data.run);
  views.made = (main, data) => seewhy.madeView(main, data.run);

  /** The projections are fetched one at a time, when they are looked at. */
  views.map = function (main, data) {
    const held = new Map();
    let view = { destroy() {} };

    async function show(state) {
      const method = data.projections.find((name) => titled(name) === state.by) || data.projections[0];
      if (method && !held.has(method)) {
        seewhy.replace(main, seewhy.el("p", { role: "status", text: "The points are being fetched…" }));
        held.set(method, await seewhy.fetched(`/runs/${data.number}/map/${method}.json`));
      }
      view.destroy();
      const points = data.projections.map((name) => held.get(name) || { name: titled(name), x: [], y: [], record: [] });
      const shown = method ? held.get(method) : null;
      const page = { run: data.run, records: null, points: method ? points : [] };
      view = seewhy.embeddingView(main, page, { ...state, by: shown && shown.name }, {
        openNumber: (number) => window.location.assign(`/runs/${data.number}/records/${number}`),
        change(part) {
          const now = { ...state, ...part, by: part.by || (shown && shown.name) || "" };
          seewhy.note(now);
          show(now);
        },
      }) || { destroy() {} };
    }

    show(seewhy.readState()).catch((error) => seewhy.showError(main, error));
  };
})((window.seewhy = window.seewhy || {}));
