/* What the page shows, kept in the address behind the #, so that a link shows the same again. */
(function (seewhy) {
  "use strict";

  /** The state in the address: plain texts by name. */
  seewhy.readState = function () {
    const state = {};
    for (const [name, value] of new URLSearchParams(window.location.hash.slice(1))) state[name] = value;
    return state;
  };

  /** An address with a state; empty values are left out, so that the usual has a short one. */
  seewhy.hashOf = function (state) {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(state)) {
      if (value !== "" && value !== null && value !== undefined) parameters.set(name, String(value));
    }
    return `#${parameters.toString()}`;
  };

  /** Go to a state as a step back can undo. */
  seewhy.go = function (state) {
    window.location.hash = seewhy.hashOf(state);
  };

  /** Note a state without a step in the history and without drawing anything again. */
  seewhy.note = function (state) {
    window.history.replaceState(null, "", seewhy.hashOf(state));
  };
})((window.seewhy = window.seewhy || {}));
