/* What a live question is about: a record of the data set, found by its id, or a picture that is dropped in. */
(function (seewhy) {
  "use strict";

  const PAUSE = 200; // milliseconds without a key before records are looked for
  const MOST_BYTES = 16 * 1024 * 1024;

  async function suggest(text) {
    const answer = await fetch(`/live/records?${new URLSearchParams({ text })}`);
    return answer.ok ? (await answer.json()).records : [];
  }

  /** A field with suggestions; `chosen()` is `{split, id}` or null. */
  seewhy.recordField = function (offers, given) {
    const list = seewhy.el("datalist", { id: "live-records" });
    const input = seewhy.el("input", { name: "record", list: "live-records", autocomplete: "off", value: given ? given.id : "", placeholder: "part of an id" });
    const known = new Map(given ? [[given.id, given.split]] : []);
    let timer = 0;
    let wanted = 0;

    async function look() {
      const number = (wanted += 1);
      const found = await suggest(input.value).catch(() => []);
      if (number !== wanted) return;
      for (const record of found) known.set(record.id, record.split);
      seewhy.replace(list, found.map((record) => seewhy.el("option", { value: record.id, text: record.split })));
    }

    input.addEventListener("input", function () {
      window.clearTimeout(timer);
      timer = window.setTimeout(look, PAUSE);
    });

    async function chosen() {
      const id = input.value;
      if (!id) return null;
      if (!known.has(id)) for (const record of await suggest(id)) known.set(record.id, record.split);
      return { split: known.get(id) || offers.records.splits[0], id };
    }

    look();
    return { element: seewhy.el("div", {}, seewhy.labelled("Record", input), list), chosen, focus: () => input.focus() };
  };

  function dropZone(input, note) {
    const words = seewhy.el("span", { text: "Drop a picture here, or choose a file" });
    const zone = seewhy.el("label", { className: "live-drop" }, words, input, note);
    for (const kind of ["dragenter", "dragover"]) {
      zone.addEventListener(kind, function (event) {
        event.preventDefault();
        zone.classList.add("live-over");
      });
    }
    for (const kind of ["dragleave", "drop"]) zone.addEventListener(kind, () => zone.classList.remove("live-over"));
    return zone;
  }

  async function send(file) {
    if (file.size > MOST_BYTES) throw new Error(`${file.name} is larger than 16 MB`);
    const answer = await fetch("/live/image", { method: "POST", body: file, headers: { "content-type": "application/octet-stream" } });
    return seewhy.liveAnswer(answer);
  }

  /** A drop zone; `chosen()` is the handle of the picture that the server keeps, or null. */
  seewhy.pictureField = function (offers, told) {
    const input = seewhy.el("input", { type: "file", name: "picture", accept: "image/jpeg,image/png,image/webp,image/tiff,image/bmp,image/gif" });
    const note = seewhy.el("span", { className: "quiet", text: `Prepared as the run's records: ${offers.images.prepared}.` });
    const zone = dropZone(input, note);
    let file = null;
    let handle = null;

    async function take(taken) {
      if (!taken) return;
      file = taken;
      handle = null;
      note.textContent = `${file.name}: being opened`;
      try {
        const found = await send(file);
        handle = found.handle;
        note.textContent = [`${file.name}, ${found.width} × ${found.height} pixels`, ...found.notes].join("; ");
        told("The picture is open: ask about it.", false);
      } catch (error) {
        file = null;
        note.textContent = "No picture is open.";
        told(error, true);
      }
    }

    input.addEventListener("change", () => take(input.files[0]));
    zone.addEventListener("drop", function (event) {
      event.preventDefault();
      take(event.dataTransfer.files[0]);
    });

    return { element: zone, chosen: async () => handle, again: () => file && take(file), focus: () => input.focus() };
  };
})((window.seewhy = window.seewhy || {}));
