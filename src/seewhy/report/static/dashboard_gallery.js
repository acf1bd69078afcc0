/* The gallery's form: short addresses, search by the key /, and the place kept when the list is changed. */
(function (seewhy) {
  "use strict";

  const views = (seewhy.views = seewhy.views || {});

  function slash(event) {
    const search = document.getElementById("search");
    if (event.key !== "/" || !search || event.target.closest("input, select, textarea")) return;
    event.preventDefault();
    search.focus();
  }

  /** What filters nothing is no part of the address. */
  function shorten(event) {
    const { parameters } = event.detail;
    for (const name of Object.keys(parameters)) {
      if (parameters[name] === "" || (name === "sort" && parameters[name] === "interesting")) delete parameters[name];
    }
  }

  function refused(event) {
    const results = document.getElementById("results");
    const words = event.detail.xhr && event.detail.xhr.status === 400 ? "That filter cannot be used: check the numbers." : "The server did not answer; is it still running?";
    if (results) seewhy.replace(results, seewhy.el("p", { className: "notice", role: "alert", text: words }));
  }

  views.records = function () {
    document.addEventListener("keydown", slash);
    document.addEventListener("htmx:configRequest", shorten);
    document.addEventListener("htmx:responseError", refused);
    document.addEventListener("htmx:sendError", refused);
    const button = document.querySelector("#filters button");
    if (button) button.hidden = true; // choices act at once where scripts run
  };
})((window.seewhy = window.seewhy || {}));
