/* A map of values at another size: linear along both axes, cell i centred at i + 0.5, the border value beyond. */
(function (seewhy) {
  "use strict";

  /** For each of `count` pixels of an axis of `length` cells: the cell below, the one above and the weight of the latter. */
  function places(length, count) {
    const lower = new Int32Array(count);
    const upper = new Int32Array(count);
    const part = new Float32Array(count);
    for (let pixel = 0; pixel < count; pixel += 1) {
      const position = Math.min(Math.max(((pixel + 0.5) * length) / count - 0.5, 0), length - 1);
      lower[pixel] = Math.floor(position);
      upper[pixel] = Math.min(lower[pixel] + 1, length - 1);
      part[pixel] = position - lower[pixel];
    }
    return { lower, upper, part };
  }

  /** `values`, row by row, of `height` × `width` cells, read at `rows` × `columns` pixels. */
  seewhy.resample = function (values, height, width, rows, columns) {
    const down = places(height, rows);
    const across = places(width, columns);
    const line = new Float32Array(height * columns);
    for (let row = 0; row < height; row += 1) {
      for (let column = 0; column < columns; column += 1) {
        const first = values[row * width + across.lower[column]];
        const second = values[row * width + across.upper[column]];
        line[row * columns + column] = first + (second - first) * across.part[column];
      }
    }
    const result = new Float32Array(rows * columns);
    for (let row = 0; row < rows; row += 1) {
      const above = down.lower[row] * columns;
      const below = down.upper[row] * columns;
      for (let column = 0; column < columns; column += 1) {
        const first = line[above + column];
        result[row * columns + column] = first + (line[below + column] - first) * down.part[row];
      }
    }
    return result;
  };
})((window.seewhy = window.seewhy || {}));
