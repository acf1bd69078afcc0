/* Light and dark: the system's choice, until a reader presses the button. */
(function (seewhy) {
  "use strict";

  const KEY = "seewhy-theme";
  const root = document.documentElement;

  function stored() {
    try {
      return window.localStorage.getItem(KEY);
    } catch (refused) {
      return null; // a page of a file or without cookies may not remember
    }
  }

  function remember(theme) {
    try {
      window.localStorage.setItem(KEY, theme);
    } catch (refused) {
      return;
    }
  }

  function current() {
    if (root.dataset.theme) return root.dataset.theme;
    return window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  }

  function relabel(button) {
    const other = current() === "dark" ? "light" : "dark";
    button.textContent = other === "dark" ? "Dark" : "Light";
    button.setAttribute("aria-label", `Switch to the ${other} theme`);
  }

  function relabelAll() {
    for (const button of document.querySelectorAll("[data-theme-toggle]")) relabel(button);
  }

  function toggle() {
    root.dataset.theme = current() === "dark" ? "light" : "dark";
    remember(root.dataset.theme);
    relabelAll();
    document.dispatchEvent(new CustomEvent("seewhy:theme"));
  }

  /** Wire every button with `data-theme-toggle`; a second call wires only new ones. */
  seewhy.theme = function () {
    for (const button of document.querySelectorAll("[data-theme-toggle]:not([data-wired])")) {
      button.dataset.wired = "";
      button.addEventListener("click", toggle);
      relabel(button);
    }
  };

  const kept = stored();
  if (kept === "light" || kept === "dark") root.dataset.theme = kept;
  document.addEventListener("DOMContentLoaded", seewhy.theme);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", function () {
    relabelAll();
    document.dispatchEvent(new CustomEvent("seewhy:theme"));
  });
})((window.seewhy = window.seewhy || {}));
