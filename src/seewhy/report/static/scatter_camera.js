/* Where a cloud of points lies on a canvas: zoom and pan, both ways between data and pixels. */
(function (seewhy) {
  "use strict";

  const MARGIN = 24;

  /** The extremes of the finite points; a cloud of one place gets room around it. */
  function extent(points) {
    let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let place = 0; place < points.x.length; place += 1) {
      const [x, y] = [points.x[place], points.y[place]];
      if (!Number.isFinite(x) || !Number.isFinite(y)) continue;
      left = Math.min(left, x);
      right = Math.max(right, x);
      low = Math.min(low, y);
      high = Math.max(high, y);
    }
    return left > right ? null : { left, right, low, high };
  }

  /** A camera on points: `place(i)` -> [x, y] in pixels, `zoom(factor, x, y)`, `pan(dx, dy)`, `fit(width, height)`. */
  seewhy.camera = function (points) {
    const whole = extent(points) || { left: -1, right: 1, low: -1, high: 1 };
    const camera = { scale: 1, x: 0, y: 0, width: 1, height: 1, times: 1 };

    camera.fit = function (width, height) {
      Object.assign(camera, { width, height, times: 1 });
      const across = (width - 2 * MARGIN) / (whole.right - whole.left || 1e-9);
      const up = (height - 2 * MARGIN) / (whole.high - whole.low || 1e-9);
      camera.scale = Math.min(across, up); // one for both axes: distances are what a projection keeps
      camera.x = width / 2 - (camera.scale * (whole.left + whole.right)) / 2;
      camera.y = height / 2 + (camera.scale * (whole.low + whole.high)) / 2;
    };

    camera.place = (place) => [camera.x + camera.scale * points.x[place], camera.y - camera.scale * points.y[place]];

    camera.zoom = function (factor, x, y) {
      const wanted = Math.min(200, Math.max(0.5, camera.times * factor));
      const real = wanted / camera.times;
      camera.times = wanted;
      camera.scale *= real;
      camera.x = x + (camera.x - x) * real;
      camera.y = y + (camera.y - y) * real;
    };

    camera.pan = function (across, down) {
      camera.x += across;
      camera.y += down;
    };

    return camera;
  };
})((window.seewhy = window.seewhy || {}));
