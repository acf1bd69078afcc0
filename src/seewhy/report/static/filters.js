/* Which records are shown, and in which order: from the state's texts to a list of places. */
(function (seewhy) {
  "use strict";

  seewhy.FILTERS = ["split", "label", "predicted", "result", "low", "high", "q", "sort"];

  seewhy.SORTS = [
    ["", "as the page has them"], ["surest", "surest first"], ["unsure", "least sure first"],
    ["id", "by id"], ["label", "by true class"], ["predicted", "by predicted class"],
  ];

  function share(text, usual) {
    const value = text === undefined || text === "" ? NaN : Number(text);
    return Number.isFinite(value) ? value : usual;
  }

  function textOf(record, names) {
    const words = [record.id, record.error, record.stage, record.split];
    for (const index of [seewhy.ownLabel(record), record.predicted]) {
      if (index !== null && index !== undefined) words.push(String(index), names ? names[index] : "");
    }
    return words.filter(Boolean).join("\n").toLocaleLowerCase();
  }

  /** Whether a record passes the filters of a state. */
  seewhy.passes = function (record, state, names) {
    if (state.split && record.split !== state.split) return false;
    if (state.label && String(seewhy.ownLabel(record)) !== state.label) return false;
    if (state.predicted && String(record.predicted) !== state.predicted) return false;
    if (state.result && seewhy.outcome(record).kind !== state.result) return false;
    const [low, high] = [share(state.low, 0), share(state.high, 1)];
    if (low > 0 || high < 1) {
      if (record.confidence === null || record.confidence === undefined) return false;
      if (record.confidence < low || record.confidence > high) return false;
    }
    if (!state.q) return true;
    const text = textOf(record, names);
    return state.q.toLocaleLowerCase().split(/\s+/).every((word) => text.includes(word));
  };

  const last = (value) => value ?? Number.MAX_VALUE;
  const compare = {
    surest: (one, other) => (other.confidence ?? -1) - (one.confidence ?? -1),
    unsure: (one, other) => last(one.confidence) - last(other.confidence),
    id: (one, other) => one.id.localeCompare(other.id, "en", { numeric: true }),
    label: (one, other) => last(seewhy.ownLabel(one)) - last(seewhy.ownLabel(other)),
    predicted: (one, other) => last(one.predicted) - last(other.predicted),
  };

  /** The places of the records that pass, in the order asked for; records alike keep the page's order. */
  seewhy.found = function (records, state, names) {
    const places = [];
    records.forEach((record, place) => seewhy.passes(record, state, names) && places.push(place));
    const order = compare[state.sort];
    if (order) places.sort((one, other) => order(records[one], records[other]) || one - other);
    return places;
  };
})((window.seewhy = window.seewhy || {}));
