// Everything that a page sends, as it goes out, recorded by the browser itself.

/**
 * Records all requests of a page, of its frames and workers too: addresses, headers with cookies, bodies.
 * @param {import("playwright-core").Page} page
 */
export async function record(page) {
  const cdp = await page.context().newCDPSession(page);
  const parts = new Map();
  const names = new Map();
  const lengths = new Map();
  const lacking = new Map();
  const note = (id, ...texts) => parts.set(id, [...(parts.get(id) ?? []), ...texts]);
  cdp.on("Network.requestWillBeSent", ({ requestId, request }) => {
    if (!names.has(requestId)) names.set(requestId, `${request.method} ${request.url}`);
    note(requestId, `${request.method} ${request.url}${request.urlFragment ?? ""}`, JSON.stringify(request.headers));
    if (request.postData) note(requestId, request.postData);
    for (const { bytes } of request.postDataEntries ?? []) note(requestId, Buffer.from(bytes ?? "", "base64"));
    if (request.hasPostData && !request.postDataEntries) lacking.set(requestId, request.url);
  });
  cdp.on("Network.requestWillBeSentExtraInfo", ({ requestId, headers }) => {
    note(requestId, JSON.stringify(headers));
    lengths.set(requestId, headers["Content-Length"] ?? headers["content-length"]);
  });
  cdp.on("Network.webSocketFrameSent", ({ requestId, response }) => note(requestId, response.payloadData));
  await cdp.send("Network.enable", { maxPostDataSize: 1 << 24 });
  return {
    /** One entry for each request: what it was, and all of its bytes, as sent and with percent-encoding taken away. */
    requests: () => {
      const missing = [...lacking].filter(([id]) => lengths.get(id) !== "0").map(([, url]) => url);
      if (missing.length > 0) throw new Error(`These bodies were not recorded: ${missing}`);
      return [...parts].map(([id, texts]) => {
        const bytes = texts.map((text) => Buffer.from(text));
        const decoded = texts.filter((text) => typeof text === "string").map((text) => Buffer.from(decodeForm(text)));
        return { what: names.get(id) ?? "a request that was not begun", bytes: Buffer.concat([...bytes, ...decoded].flatMap((part) => [part, Buffer.from("\n")])) };
      });
    },
  };
}

const decodeForm = (text) => {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return text;
  }
};

/**
 * What bytes look like when they are written down: raw, hexadecimal, base64 in both alphabets at each of the three alignments, and
 * as a list of numbers. Ends that depend on neighbours are left off.
 * @param {Uint8Array} secret @returns {[string, Buffer][]}
 */
export function formsOf(secret) {
  const bytes = Buffer.from(secret);
  /** @type {[string, Buffer][]} */
  const forms = [
    ["raw", bytes],
    ["hex", Buffer.from(bytes.toString("hex"))],
    ["HEX", Buffer.from(bytes.toString("hex").toUpperCase())],
    ["numbers", Buffer.from([...bytes].join(","))],
    ["numbers and spaces", Buffer.from([...bytes].join(", "))],
  ];
  for (const shift of [0, 1, 2]) {
    const shifted = Buffer.concat([Buffer.alloc(shift), bytes]).toString("base64").replace(/=+$/, "");
    const inner = shifted.slice(shift === 0 ? 0 : shift + 1, -1);
    const name = shift === 0 ? "" : ` after ${shift} bytes`;
    forms.push([`base64${name}`, Buffer.from(inner)]);
    forms.push([`base64url${name}`, Buffer.from(inner.replaceAll("+", "-").replaceAll("/", "_"))]);
  }
  return forms;
}
