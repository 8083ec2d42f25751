// Reads a JSON object from each line of standard input and writes one to standard output for it.
//
//   node main.mjs open   what a reader makes of a request, which has the members of a vector before `expect`
//                        (testdata/vectors/README.md), and `csrf`, tokens to check
//   node main.mjs seal   Set-Cookie lines for the members `session`, `flash` and `lease`; or for the session that came, if the
//                        request says to `change` values or to `destroy` it. `parts`: how many cookies, cut at random.
//                        `device`, with `session`: it is device-aware, and has a permit, or the key that `device` is, in
//                        hexadecimal, and a proof by it. The answer has a `challenge` to register, or to renew
//
// A character of a cookie is a byte. `scope` and values are in the vectors' notation, and beyond it {"float32": "…"}, and
// {"pairs": [[key, value], …]} for a map with a key that isn't UTF-8.

import { createInterface } from "node:readline";
import { randomInt } from "node:crypto";
import * as cs from "./cookiesession.mjs";
import { Float32, Kept, Text, Timestamp } from "./msgpack.mjs";

const hex = (text) => Buffer.from(text, "hex");
const integer = (n) => (n === undefined ? undefined : BigInt(n.int ?? n));
const floatText = (n) => ({ float: Object.is(n, -0) ? "-0" : String(n) });

function toJSON(value) {
  if (value instanceof Kept) return toJSON(value.value);
  if (value instanceof Map) {
    const pairs = [...value].map(([key, item]) => [toJSON(key), toJSON(item)]);
    return pairs.every(([key]) => typeof key === "string") ? { map: Object.fromEntries(pairs) } : { pairs };
  }
  if (Array.isArray(value)) return value.map(toJSON);
  if (value instanceof Float32) return floatText(value.value);
  if (value instanceof Text) return { string: value.bytes.toString("hex") };
  if (value instanceof Timestamp) return { time: { seconds: toJSON(value.seconds), nanoseconds: value.nanoseconds } };
  if (value instanceof Uint8Array) return { bytes: value.toString("hex") };
  if (typeof value === "number") return floatText(value);
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : { int: `${value}` };
  return value;
}

const map = (pairs) => new Map(pairs.map(([key, value]) => [fromJSON(key), fromJSON(value)]));

function fromJSON(json) {
  if (Array.isArray(json)) return json.map(fromJSON);
  if (typeof json === "number") return BigInt(json);
  if (json === null || typeof json !== "object") return json;
  const [[type, of]] = Object.entries(json);
  switch (type) {
    case "int": return BigInt(of);
    case "float": return Number(of);
    case "float32": return new Float32(Number(of));
    case "string": return new Text(hex(of));
    case "bytes": return hex(of);
    case "time": return new Timestamp(integer(of.seconds), of.nanoseconds);
    case "map": return map(Object.entries(of));
    case "pairs": return map(of);
    default: throw new TypeError(`no type ${type}`);
  }
}

function agreement(request) {
  const path = request.name.startsWith("__Secure-") ? "/app" : "/";
  const secure = /^__(Host|Secure)-/.test(request.name) ? "; Secure" : "";
  return {
    secrets: request.keys.map((key) => ({
      secret: hex(key.secret), activateAt: integer(key.activate_at), retireAt: integer(key.retire_at),
    })),
    scope: Buffer.from(fromJSON(request.scope)),
    name: request.name,
    now: integer(request.now),
    notBefore: integer(request.not_before),
    idleTimeout: integer(request.idle_timeout),
    proofTime: integer(request.device_proof),
    attributes: request.attributes ?? `; Path=${path}; HttpOnly${secure}`,
  };
}

// What read returns, or the reason why it refuses.
function outcome(read) {
  try {
    const content = read();
    return content ? ["opens", content] : [];
  } catch (error) {
    if (!(error instanceof cs.Refused)) throw error;
    return [error.reason];
  }
}

// Whether a writer that had to make all values anew would make the same bytes.
function canonical(purpose, content) {
  const values = new Map([...content.values].map(([key, { value }]) => [key, value]));
  return cs.encodePayload(purpose, { ...content, values }).equals(content.bytes);
}

function open(request) {
  const agreed = agreement(request);
  const cookies = cs.parseCookies(request.cookie);
  const reply = {};

  const [result = "none", session] = outcome(() => cs.readSession(agreed, cookies, (reason) => (reply.lease = reason)));
  reply.session = result;
  if (session) {
    reply.id = session.id.toString("hex");
    for (const field of ["created", "expires", "values"]) reply[field] = toJSON(session[field]);
    reply.payload = session.bytes.toString("hex");
    reply.canonical = canonical("session", session);
    reply.proven = session.proven;
    reply.csrf = request.csrf?.map((token) => cs.checkCSRF(session, token));
    if (session.csrf.length > 0) reply.csrf_token = cs.maskCSRF(session);
  }

  const [flashResult, flash] = outcome(() => cs.readFlash(agreed, cookies));
  reply.flash = flashResult;
  if (flash) {
    reply.flash_values = toJSON(flash.values);
    reply.flash_payload = flash.bytes.toString("hex");
    reply.flash_canonical = canonical("flash", flash);
  }
  return reply;
}

// Cuts a text into n parts of random lengths.
const cutInto = (n) => (text) => {
  const cuts = new Set([0]);
  while (cuts.size < n) cuts.add(28 + 4 * randomInt(Math.ceil((text.length - 28) / 4)));
  const sorted = [...cuts].sort((a, b) => a - b);
  return sorted.map((at, i) => text.slice(at, sorted[i + 1]));
};

function seal(request) {
  const agreed = agreement(request);
  const cookies = cs.parseCookies(request.cookie ?? []);
  if (request.destroy) return { set_cookie: cs.destroy(agreed, cookies) };

  const device = request.device === undefined ? undefined : hex(request.device);
  const contents = { session: content(request.session), flash: content(request.flash), lease: content(request.lease) };
  if (request.change) {
    const { bytes, ...came } = cs.readSession(agreed, cookies);
    fromJSON(request.change).forEach((value, key) => came.values.set(key, value));
    contents.session = { ...came, sealed: agreed.now };
  }
  if (device) contents.session.bound = true;
  const cut = request.parts && cutInto(request.parts);
  const purposes = Object.keys(contents).filter((purpose) => contents[purpose]);
  const lines = purposes.flatMap((purpose) => cs.write(agreed, purpose, contents[purpose], cookies, cut));
  if (contents.session && !contents.flash) lines.push(...cs.deleteUnreadable(agreed, cookies));
  if (!device) return { set_cookie: lines };
  const { id, created } = contents.session;
  lines.push(...cs.writeTagged(agreed, "device", { id, created, key: device }));
  if (device.length > 0) {
    const proof = { origin: id.subarray(0, 8), key: cs.keyHash(device), expires: agreed.now + agreed.proofTime + 60n };
    lines.push(...cs.writeTagged(agreed, "proof", proof, agreed.proofTime));
  }
  const kind = device.length > 0 ? 2n : 1n;
  return { set_cookie: lines, challenge: cs.challenge(agreed, { kind, id, time: agreed.now }) };
}

// A compartment's content from the vectors' notation. `payload`, in hexadecimal, outranks all but what Max-Age is made of.
function content(json) {
  if (!json) return undefined;
  const { id = "", csrf = "", payload, values, ...integers } = json;
  const all = { id: hex(id), csrf: hex(csrf), values: values && fromJSON(values), bytes: payload && hex(payload) };
  for (const [field, n] of Object.entries(integers)) all[field] = integer(n);
  return all;
}

const command = { open, seal }[process.argv[2]];
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(command(JSON.parse(line))) + "\n");
}
