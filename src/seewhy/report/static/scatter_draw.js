/* What a cloud of points looks like: groups with colours and signs, drawn group by group. */
(function (seewhy) {
  "use strict";

  const RESULTS = { right: ["✓ right", "#009e73"], wrong: ["✗ wrong", "#d55e00"], failed: ["! failed", "#cc79a7"], unlabelled: ["? no label", "#8a93a0"] };

  /** A point as a record: the page's where it holds it, else what the points' own columns tell. */
  seewhy.pointRecord = function (points, place, records) {
    const held = records && points.record && points.record[place] !== null ? records[points.record[place]] : null;
    if (held) return held;
    const column = (name) => (points[name] ? points[name][place] : null);
    const [label, predicted] = [column("label"), column("predicted")];
    const right = points.right ? points.right[place] : label === null || predicted === null ? null : label === predicted;
    return { id: String(column("id") ?? place), split: column("split") ?? "", label, predicted, right, status: column("status") ?? "ok", confidence: column("confidence") };
  };

  function groupOf(record, colourBy, names, splits) {
    if (colourBy === "error") {
      const { kind, word } = seewhy.outcome(record);
      return { key: kind, words: kind === "unlabelled" ? `? ${word}` : RESULTS[kind][0], colour: RESULTS[kind][1], order: Object.keys(RESULTS).indexOf(kind), mark: kind === "wrong" ? "cross" : kind === "failed" ? "square" : "dot" };
    }
    if (colourBy === "split") {
      if (!splits.has(record.split)) splits.set(record.split, splits.size);
      const order = splits.get(record.split);
      return { key: record.split, words: record.split || "no split", colour: seewhy.classColour(order), order, mark: ["dot", "square", "cross"][order % 3] };
    }
    const index = seewhy.ownLabel(record) ?? record.predicted;
    return { key: String(index), words: seewhy.className(index, names), colour: seewhy.classColour(index), order: index ?? Infinity, mark: ["dot", "square", "cross"][Math.floor((index ?? 0) / 7) % 3] };
  }

  /** Points by group: `[{key, words, colour, mark, places}]`, in the order of classes, splits or outcomes. */
  seewhy.pointGroups = function (points, colourBy, records, names) {
    const groups = new Map();
    const splits = new Map();
    for (let place = 0; place < points.x.length; place += 1) {
      const group = groupOf(seewhy.pointRecord(points, place, records), colourBy, names, splits);
      if (!groups.has(group.key)) groups.set(group.key, { ...group, places: [] });
      groups.get(group.key).places.push(place);
    }
    return [...groups.values()].sort((one, other) => one.order - other.order);
  };

  const marks = {
    dot: (path, x, y, size) => {
      path.moveTo(x + size, y);
      path.arc(x, y, size, 0, 2 * Math.PI);
    },
    square: (path, x, y, size) => path.rect(x - 0.9 * size, y - 0.9 * size, 1.8 * size, 1.8 * size),
    cross: (path, x, y, size) => {
      const [thin, long] = [size * 0.4, size * 1.2];
      const corners = [[thin, -long], [thin, -thin], [long, -thin], [long, thin], [thin, thin], [thin, long],
        [-thin, long], [-thin, thin], [-long, thin], [-long, -thin], [-thin, -thin], [-thin, -long]];
      path.moveTo(x + corners[11][0], y + corners[11][1]);
      for (const [across, down] of corners) path.lineTo(x + across, y + down);
    },
  };

  function drawGroup(context, group, camera, size, rim) {
    const path = new Path2D();
    for (const place of group.places) {
      const [x, y] = camera.place(place);
      if (x < -size || y < -size || x > camera.width + size || y > camera.height + size || Number.isNaN(x + y)) continue;
      if (size < 2) path.rect(x - size, y - size, 2 * size, 2 * size);
      else marks[group.mark](path, x, y, size);
    }
    context.fillStyle = group.colour;
    context.fill(path);
    if (rim && size >= 3) context.stroke(path);
  }

  /** Draw all groups but the hidden ones; `point` is drawn large, and last. */
  seewhy.drawPoints = function (canvas, groups, camera, { hidden, point, ratio }) {
    const context = canvas.getContext("2d");
    const count = groups.reduce((sum, group) => sum + group.places.length, 0);
    const size = Math.min(7, (count > 20000 ? 1.4 : count > 3000 ? 2.4 : 4) * Math.sqrt(Math.max(1, camera.times)));
    const style = window.getComputedStyle(canvas);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, camera.width, camera.height);
    context.strokeStyle = style.getPropertyValue("--ink") || "#000"; // a rim, so that pale colours are seen on a pale ground
    context.lineWidth = 0.6;
    for (const group of groups) if (!hidden.has(group.key)) drawGroup(context, group, camera, size, count <= 20000);
    if (point < 0) return;
    const [x, y] = camera.place(point);
    context.beginPath();
    context.arc(x, y, size + 4, 0, 2 * Math.PI);
    context.strokeStyle = style.getPropertyValue("--ink") || "#000";
    context.lineWidth = 2;
    context.stroke();
  };
})((window.seewhy = window.seewhy || {}));
