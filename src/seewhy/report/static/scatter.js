/* A cloud of points: zoom, pan, what lies under the pointer, a legend that hides groups, a click that opens. */
(function (seewhy) {
  "use strict";

  const REACH = 12;

  function legendOf(groups, hidden, redraw) {
    const entry = function (group) {
      const button = seewhy.el("button", { type: "button", "aria-pressed": "true", title: "Show or hide" },
        seewhy.el("span", { className: `dot dot-${group.mark}`, "aria-hidden": "true", style: { background: group.colour } }),
        `${group.words} (${group.places.length.toLocaleString("en")})`);
      button.addEventListener("click", function () {
        if (!hidden.delete(group.key)) hidden.add(group.key);
        button.setAttribute("aria-pressed", String(!hidden.has(group.key)));
        redraw();
      });
      return seewhy.el("li", {}, button);
    };
    const most = 60;
    const rest = groups.length > most ? seewhy.el("li", { text: `and ${groups.length - most} more` }) : null;
    return seewhy.el("ul", { className: "scatter-legend", "aria-label": "Groups of points" }, groups.slice(0, most).map(entry), rest);
  }

  function buttons(camera, act) {
    const button = (words, label, does) => seewhy.el("button", { type: "button", text: words, "aria-label": label, on: { click: does } });
    const middle = (factor) => act.zoom(factor, camera.width / 2, camera.height / 2);
    return seewhy.el("div", { className: "scatter-buttons" }, button("+", "Zoom in", () => middle(1.5)),
      button("−", "Zoom out", () => middle(1 / 1.5)), button("All", "Show all points", act.fit));
  }

  function keys(camera, act) {
    const step = 40;
    const moves = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    return function (event) {
      if (moves[event.key]) act.pan(...moves[event.key]);
      else if (event.key === "+" || event.key === "=") act.zoom(1.5, camera.width / 2, camera.height / 2);
      else if (event.key === "-") act.zoom(1 / 1.5, camera.width / 2, camera.height / 2);
      else if (event.key === "0") act.fit();
      else return;
      event.preventDefault();
    };
  }

  /** Pointers: one drags, two zoom, a still one opens what is under it. */
  function pointers(canvas, camera, act) {
    const down = new Map();
    let moved = 0;
    const at = (event) => [event.offsetX, event.offsetY];
    const spread = () => {
      const [one, other] = [...down.values()];
      return Math.hypot(one[0] - other[0], one[1] - other[1]);
    };
    canvas.addEventListener("pointerdown", function (event) {
      down.set(event.pointerId, at(event));
      moved = 0;
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", function (event) {
      if (!down.has(event.pointerId)) return act.hover(...at(event));
      const [from, to] = [down.get(event.pointerId), at(event)];
      const before = down.size === 2 ? spread() : 0;
      down.set(event.pointerId, to);
      moved += Math.abs(to[0] - from[0]) + Math.abs(to[1] - from[1]);
      if (down.size === 2) return act.zoom(spread() / Math.max(1, before), ...to);
      return moved > 3 ? act.pan(to[0] - from[0], to[1] - from[1]) : undefined;
    });
    const up = function (event) {
      if (down.delete(event.pointerId) && event.type === "pointerup" && moved <= 3) act.open(...at(event));
    };
    canvas.addEventListener("pointerup", up);
    canvas.addEventListener("pointercancel", up);
    canvas.addEventListener("pointerleave", () => act.hover(-1e6, -1e6));
    canvas.addEventListener("wheel", function (event) {
      event.preventDefault();
      act.zoom(Math.exp(-event.deltaY / 400), ...at(event));
    }, { passive: false });
  }

  function told(record, names) {
    const sure = record.confidence === null || record.confidence === undefined ? "" : `, ${seewhy.percent(record.confidence)}`;
    const said = record.predicted === null || record.predicted === undefined ? "" : `: ${seewhy.className(record.predicted, names)}${sure}`;
    return `${record.id}${said}${record.right === false ? `, true ${seewhy.className(record.label, names)}` : ""}`;
  }

  /** Draw points in a container; the options are `colourBy`, `onOpen(record index, point)`, `records`, `classNames`. */
  seewhy.scatter = function (container, points, options) {
    const { records, classNames } = options;
    const groups = seewhy.pointGroups(points, options.colourBy || "class", records, classNames);
    const groupAt = [];
    for (const group of groups) for (const place of group.places) groupAt[place] = group.key;
    const hidden = new Set();
    const camera = seewhy.camera(points);
    const index = seewhy.pointIndex(points);
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    const canvas = seewhy.el("canvas", { className: "scatter", tabindex: "0", role: "application", "aria-label": `${points.name}: ${seewhy.count(points.x.length, "point")}. Arrow keys move, plus and minus zoom, 0 shows all; the list below opens records.` });
    const tip = seewhy.el("p", { className: "scatter-tip", role: "status", text: "Point at a record to see which it is; click to open it." });
    const canOpen = (place) => !points.record || (points.record[place] !== null && points.record[place] >= 0);
    const list = seewhy.pointList(points, { records, classNames, canOpen, onOpen: options.onOpen });
    let point = -1;
    let waiting = 0;
    let settled = 0;
    const visible = (place) => !hidden.has(groupAt[place]);
    const inView = (place) => {
      const [x, y] = camera.place(place);
      return visible(place) && x >= 0 && y >= 0 && x <= camera.width && y <= camera.height;
    };

    function draw() {
      waiting = 0;
      seewhy.drawPoints(canvas, groups, camera, { hidden, point, ratio });
      window.clearTimeout(settled);
      settled = window.setTimeout(() => list.fill([...points.x.keys()].filter(inView)), 150);
    }
    const redraw = () => (waiting = waiting || window.requestAnimationFrame(draw));

    const act = {
      zoom: (factor, x, y) => (camera.zoom(factor, x, y), redraw()),
      pan: (across, down) => (camera.pan(across, down), redraw()),
      fit: () => (camera.fit(camera.width, camera.height), redraw()),
      hover(x, y) {
        const found = index.nearest(camera, x, y, REACH, visible);
        if (found === point) return;
        point = found;
        canvas.classList.toggle("pointing", found >= 0);
        if (found >= 0) tip.textContent = told(seewhy.pointRecord(points, found, records), classNames);
        redraw();
      },
      open(x, y) {
        const found = index.nearest(camera, x, y, REACH, visible);
        if (found >= 0 && canOpen(found)) options.onOpen(points.record ? points.record[found] : found, found);
      },
    };

    function measure() {
      const [width, height] = [canvas.clientWidth || 600, canvas.clientHeight || 400];
      if (width === camera.width && height === camera.height) return;
      [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
      camera.fit(width, height);
      redraw();
    }

    const axes = points.axes && points.axes.length === 2 ? `Across: ${points.axes[0]}. Up: ${points.axes[1]}.` : "";
    seewhy.replace(container, legendOf(groups, hidden, redraw), buttons(camera, act), canvas,
      tip, axes ? seewhy.el("p", { className: "quiet", text: axes }) : null, list.element);
    pointers(canvas, camera, act);
    canvas.addEventListener("keydown", keys(camera, act));
    const watch = new ResizeObserver(measure);
    watch.observe(canvas);
    document.addEventListener("seewhy:theme", redraw);
    measure();
    return {
      place: (i) => camera.place(i),
      destroy() {
        watch.disconnect();
        window.clearTimeout(settled);
        document.removeEventListener("seewhy:theme", redraw);
      },
    };
  };
})((window.seewhy = window.seewhy || {}));
