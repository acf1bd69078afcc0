/* Addresses that a page may follow or show: its own folder's files, and pictures inside it. */
(function (seewhy) {
  "use strict";

  /** A relative address as it is, null for anything with a scheme, a host or a script. */
  seewhy.safeHref = function (href) {
    if (typeof href !== "string" || !href || /^[\\/]{2}/.test(href) || /[\u0000-\u001f\\]/.test(href)) return null;
    try {
      const base = new URL(document.baseURI);
      const address = new URL(href, base);
      const relative = !/^[a-z][a-z0-9+.-]*:/i.test(href.trim());
      return relative && address.protocol === base.protocol && address.host === base.host ? href : null;
    } catch (unreadable) {
      return null;
    }
  };

  /** A picture's source: inline data of a picture, or an address of ours. */
  seewhy.safeSource = function (source) {
    if (typeof source === "string" && /^data:image\/(jpeg|png|webp);base64,[A-Za-z0-9+/=]+$/.test(source)) return source;
    return seewhy.safeHref(source);
  };
})((window.seewhy = window.seewhy || {}));
