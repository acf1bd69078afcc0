"use strict";
// The search of the site runs in a worker, which browsers refuse to pages opened from a disk: there it runs in a frame.
if (window.location.protocol === "file:") {
  const later = (tell) => window.setTimeout(tell, 0); // a worker never answers before the caller has gone on
  window.Worker = class extends EventTarget {
    constructor(address) {
      super();
      this.waiting = [];
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.documentElement.append(this.frame);
      this.inside = this.frame.contentWindow;
      this.inside.postMessage = (given) => {
        const data = structuredClone(given); // a real worker gets and gives copies; the page changes what it has sent
        later(() => this.dispatchEvent(new MessageEvent("message", { data })));
      };
      const script = this.inside.document.createElement("script");
      script.src = new URL(address, window.location.href).href;
      script.addEventListener("load", () => {
        for (const data of this.waiting.splice(0)) this.tell(data);
        this.waiting = null;
      });
      this.inside.document.documentElement.append(script);
      this.addEventListener("message", (event) => this.onmessage && this.onmessage(event));
    }

    tell(given) {
      const data = this.inside.structuredClone(given);
      later(() => this.inside.dispatchEvent(new this.inside.MessageEvent("message", { data })));
    }

    postMessage(data) {
      if (this.waiting) this.waiting.push(structuredClone(data));
      else this.tell(data);
    }

    terminate() {
      this.frame.remove();
    }
  };
}
