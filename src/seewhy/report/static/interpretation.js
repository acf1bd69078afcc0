/* Charts of one interpretation: unpacks Plotly's script, draws, and follows the theme, the width and the opacity slider. */
(function (seewhy) {
  "use strict";

  const NARROW = 600;
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const slider = document.getElementById("opacity");

  async function unpacked(text) {
    const bytes = Uint8Array.from(window.atob(text.trim()), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  }

  /** The page's policy lets only the one script through whose digest it names. */
  async function loadPlotly() {
    const packed = document.getElementById("plotly");
    const script = document.createElement("script");
    script.textContent = await unpacked(packed.textContent);
    packed.remove();
    document.head.append(script);
    if (!window.Plotly) throw new Error("Plotly's script did not run");
  }

  function colours() {
    const style = window.getComputedStyle(document.documentElement);
    const [ink, line, accent] = ["--ink", "--line", "--accent"].map((name) => style.getPropertyValue(name).trim());
    return { ink, line, accent };
  }

  function themed() {
    const { ink, line, accent } = colours();
    const found = { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", "font.color": ink };
    return { layout: found, line, accent };
  }

  /** Where each panel lies: as the figure says, or one below the other on a narrow page. */
  function placed(chart, narrow) {
    const across = Object.keys(chart.layout).filter((name) => /^xaxis\d*$/.test(name));
    const found = {};
    across.forEach((name, place) => {
      const down = name.replace("xaxis", "yaxis");
      const step = 1 / across.length;
      const top = 1 - place * step;
      found[`${name}.domain`] = narrow ? [0, 1] : chart.layout[name].domain;
      found[`${down}.domain`] = narrow ? [top - step + 0.06 / across.length, top - 0.1 * step] : chart.layout[down].domain;
    });
    found.height = narrow ? Math.max(chart.height, across.length * 340) : chart.height;
    return found;
  }

  function arrange(chart) {
    const narrow = chart.panels && chart.element.clientWidth < NARROW;
    const layout = { ...themed().layout, width: chart.element.clientWidth, ...(chart.panels ? placed(chart, narrow) : {}) };
    return window.Plotly.relayout(chart.element, layout);
  }

  async function draw(chart) {
    chart.element = document.getElementById(chart.id);
    chart.element.style.maxWidth = `${chart.width}px`;
    chart.layout.height = chart.height;
    chart.layout.autosize = true;
    for (const image of chart.layout.images || []) image.source = image.source || chart.layout.images[0].source;
    await window.Plotly.newPlot(chart.element, chart.data, structuredClone(chart.layout), chart.config);
    await arrange(chart);
    if (!chart.panels) await window.Plotly.restyle(chart.element, { "marker.color": themed().accent });
  }

  function showOpacity() {
    slider.nextElementSibling.textContent = `${Math.round(slider.value * 100)} %`;
  }

  function changeOpacity() {
    showOpacity();
    const chart = charts[0];
    const maps = chart.data.map((trace, place) => place);
    if (maps.length) window.Plotly.restyle(chart.element, { opacity: Number(slider.value) }, maps);
  }

  function rearrange() {
    for (const chart of charts) {
      arrange(chart);
      if (!chart.panels) window.Plotly.restyle(chart.element, { "marker.color": themed().accent });
    }
  }

  async function start() {
    showOpacity();
    try {
      await loadPlotly();
      for (const chart of charts) await draw(chart);
    } catch (error) {
      const problem = document.getElementById("problem");
      problem.textContent = `The charts could not be drawn (${error.message}). A browser of 2023 or later draws them.`;
      problem.hidden = false;
      return;
    }
    slider.addEventListener("input", changeOpacity);
    document.addEventListener("seewhy:theme", rearrange);
    window.addEventListener("resize", rearrange);
    document.documentElement.dataset.drawn = "true";
  }

  start();
})((window.seewhy = window.seewhy || {}));
