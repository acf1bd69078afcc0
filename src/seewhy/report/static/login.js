/* The token behind the # of the address, where no server or log sees it, handed over once. */
(function () {
  "use strict";

  function enter() {
    const token = new URLSearchParams(window.location.hash.slice(1)).get("token");
    const form = document.getElementById("login");
    if (!token || !form) return;
    window.history.replaceState(null, "", window.location.pathname);
    form.elements.token.value = token;
    form.submit();
  }

  window.addEventListener("hashchange", enter);
  enter();
})();
