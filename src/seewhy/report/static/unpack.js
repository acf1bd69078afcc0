"use strict";
/* The packed JSON of a static page, made into the records that the other scripts read (report/packing.py packs it). */
(function () {
  const seewhy = (window.seewhy = window.seewhy || {});

  const STATISTICS = ["mean", "std", "min", "max", "sparsity", "near_zero", "nonfinite", "count"];

  function unpackMap(packed, page) {
    const [kind, index, peak, trough, codes, numbers] = packed;
    const statistics = {};
    STATISTICS.forEach((name, place) => {
      statistics[name] = numbers[place];
    });
    return { ...page.kinds[kind], class: index, peak, trough, codes, statistics, histogram: null };
  }

  function unpackGrade(packed, page) {
    const [kind, value, reason] = packed;
    return { ...page.graded[kind], value, reason: reason === undefined ? null : reason };
  }

  function unpackRecord(packed, page) {
    const geometry = packed.geometry === undefined ? null : page.geometries[packed.geometry];
    return {
      status: "ok",
      stage: "",
      error: "",
      confidence: null,
      top: [],
      notes: [],
      shares: [],
      omitted: 0,
      files: [],
      ...packed,
      geometry,
      inputs: (packed.inputs || []).map(([kind, src]) => ({ ...page.input_kinds[kind], src })),
      maps: (packed.maps || []).map((one) => unpackMap(one, page)),
      grades: (packed.grades || []).map((one) => unpackGrade(one, page)),
    };
  }

  /* Records of other pages as far as this one knows them: no pictures, no maps, but the `page` that has them. */
  function unpackOthers(page) {
    const { splits = [], rows = [] } = (page.page && page.page.elsewhere) || {};
    const matching = page.run.labels_match !== false;
    return rows.map(function ([number, split, id, label, predicted, confidence, error]) {
      const known = matching && label !== null && predicted !== null && error === undefined;
      return {
        id, label, predicted, confidence, page: number, split: splits[split], stage: "", error: error || "",
        status: error === undefined ? "ok" : "failed", right: known ? label === predicted : null,
      };
    });
  }

  /* PAGE of a page's JSON. One that is not packed is returned as it is. */
  seewhy.unpack = function (page) {
    if (!page.packed) {
      return page;
    }
    const { packed, kinds, graded, input_kinds, geometries, records, ...rest } = page;
    return { ...rest, records: records.map((one) => unpackRecord(one, page)), others: unpackOthers(page) };
  };
})();
