/* Which point lies under a pointer: points in a grid of cells over the data, so that few are measured. */
(function (seewhy) {
  "use strict";

  const CELLS = 128;

  /** A grid over points; `nearest(camera, x, y, reach, visible)` -> the point within `reach` pixels, or -1. */
  seewhy.pointIndex = function (points) {
    const count = points.x.length;
    const finite = (place) => Number.isFinite(points.x[place]) && Number.isFinite(points.y[place]);
    let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let place = 0; place < count; place += 1) {
      if (!finite(place)) continue;
      left = Math.min(left, points.x[place]);
      right = Math.max(right, points.x[place]);
      low = Math.min(low, points.y[place]);
      high = Math.max(high, points.y[place]);
    }
    const [wide, tall] = [right - left || 1, high - low || 1];
    const cellOf = (value, start, length) => Math.min(CELLS - 1, Math.max(0, Math.floor(((value - start) / length) * CELLS)));
    const cells = new Map();
    for (let place = 0; place < count; place += 1) {
      if (!finite(place)) continue;
      const key = cellOf(points.x[place], left, wide) * CELLS + cellOf(points.y[place], low, tall);
      if (cells.has(key)) cells.get(key).push(place);
      else cells.set(key, [place]);
    }

    function nearest(camera, x, y, reach, visible) {
      const dataX = (pixel) => (pixel - camera.x) / camera.scale;
      const dataY = (pixel) => (camera.y - pixel) / camera.scale;
      const columns = [cellOf(dataX(x - reach), left, wide), cellOf(dataX(x + reach), left, wide)];
      const rows = [cellOf(dataY(y + reach), low, tall), cellOf(dataY(y - reach), low, tall)];
      let [best, least] = [-1, reach * reach];
      for (let column = columns[0]; column <= columns[1]; column += 1) {
        for (let row = rows[0]; row <= rows[1]; row += 1) {
          for (const place of cells.get(column * CELLS + row) || []) {
            if (!visible(place)) continue;
            const [px, py] = camera.place(place);
            const distance = (px - x) ** 2 + (py - y) ** 2;
            if (distance <= least) [best, least] = [place, distance];
          }
        }
      }
      return best;
    }

    return { nearest };
  };
})((window.seewhy = window.seewhy || {}));
