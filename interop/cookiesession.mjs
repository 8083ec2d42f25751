// A second implementation of the wire format, written from FORMAT.md; the numbers in remarks are its sections.
//
// Cookie names and values are strings of one character a byte ("latin1"), so nothing that a browser sends is lost. Times
// are BigInt. An object `agreed` holds what implementations share and the reader's or writer's own settings:
//
//   secrets      [{ secret: Buffer, activateAt, retireAt }], the times or undefined
//   scope, name  Buffer, string
//   now          the clock
//   notBefore, idleTimeout   or undefined
//   proofTime    for device-bound sessions (11), or undefined
//   attributes   of each Set-Cookie line, such as "; Path=/; HttpOnly; Secure"

import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { hchacha20 } from "./hchacha20.mjs";
import { Decoder, Malformed, encode } from "./msgpack.mjs";

const SKEW = 60n;
const MAX_HEADS = 4, MAX_NUMBERED = 32, MAX_CANDIDATES = 4, MAX_COOKIES = 9, MAX_LINE = 3900;
const PART_0 = 28; // the least characters that hold the nonce's first three bytes
const MARKER_AGE = 34560000n;

export class Refused extends Error {
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

// 1: base64dot

const toText = (bytes) => bytes.toString("base64url").replaceAll("-", ".");

function fromText(text) {
  const bytes = Buffer.from(text.replaceAll(".", "-"), "base64url");
  return toText(bytes) === text ? bytes : undefined; // what Node drops or ignores isn't strict
}

// 3: the key and key ID of a secret. By hand, since Node's HKDF takes no more than 1,024 bytes of info.

const hmac = (key, ...data) => data.reduce((h, part) => h.update(part), createHmac("sha256", key)).digest();
const lp = (x) => Buffer.concat([Buffer.of(x.length >> 8, x.length), x]);

export function derive(secret, purpose, scope, name) {
  const info = Buffer.concat([lp(Buffer.from(purpose)), lp(scope), lp(Buffer.from(name))]);
  const prk = hmac("cookiesession/v1", secret);
  const key = hmac(prk, info, Buffer.of(1));
  return { key, id: hmac(prk, key, info, Buffer.of(2)).subarray(0, 16) };
}

const retired = ({ retireAt }, now) => retireAt !== undefined && now >= retireAt;

// 3: the secret that a writer seals with.
export function choose({ secrets, now }) {
  const since = ({ activateAt }) => activateAt ?? -1n;
  return secrets
    .filter((secret) => !retired(secret, now) && since(secret) <= now)
    .reduce((best, secret) => (best && since(best) >= since(secret) ? best : secret), undefined);
}

// 4: tokens

function aead(create, key, nonce, ad) {
  const cipher = create("chacha20-poly1305", hchacha20(key, nonce.subarray(0, 16)),
    Buffer.concat([Buffer.alloc(4), nonce.subarray(16)]), { authTagLength: 16 });
  return cipher.setAAD(ad);
}

export function seal(agreed, purpose, payload) {
  const secret = choose(agreed);
  if (!secret) throw new Error("no secret is active");
  const { key, id } = derive(secret.secret, purpose, agreed.scope, agreed.name);
  const ad = Buffer.concat([Buffer.of(1), id]);
  const nonce = randomBytes(24);
  const cipher = aead(createCipheriv, key, nonce, ad);
  return toText(Buffer.concat([ad, nonce, cipher.update(payload), cipher.final(), cipher.getAuthTag()]));
}

export function open(agreed, purpose, text) {
  const token = fromText(text);
  if (!token || token.length < 57 || token[0] !== 1) throw new Refused("malformed");
  const { key, bound } = agreed.secrets
    .filter((secret) => !retired(secret, agreed.now))
    .flatMap(({ secret }) => (purpose === "session" ? ["session", "bound"] : [purpose]) // 11.2
      .map((under) => ({ ...derive(secret, under, agreed.scope, agreed.name), bound: under === "bound" })))
    .find(({ id }) => id.equals(token.subarray(1, 17))) ?? {};
  if (!key) throw new Refused("unknown-key");
  const decipher = aead(createDecipheriv, key, token.subarray(17, 41), token.subarray(0, 17));
  const bytes = decipher.update(token.subarray(41, -16));
  decipher.setAuthTag(token.subarray(-16));
  try {
    decipher.final();
  } catch {
    throw new Refused("forged");
  }
  try {
    return { ...decode[purpose](new Decoder(bytes)), bytes, ...(bound && { bound }) };
  } catch (error) {
    throw error instanceof Malformed ? new Refused("malformed") : error;
  }
}

// 6: payloads

const decode = {
  session(d) {
    d.array(7);
    const [id, created, sealed, expires] = [d.bin(16), d.time(), d.time(), d.time()];
    const [mode, csrf, values] = [d.uint(2n), d.bin(0, 16), d.values()];
    d.end();
    return { id, created, sealed, expires, mode, csrf, values };
  },
  flash(d) {
    d.array(2);
    const [expires, values] = [d.time(), d.values()];
    d.end();
    return { expires, values };
  },
  lease(d) {
    d.array(2);
    const [id, seen] = [d.bin(16), d.time()];
    d.end();
    return { id, seen };
  },
  device(d) {
    const count = d.array(3, 4);
    const [id, created, key] = [d.bin(16), d.time(), d.bin(0, 33)];
    const previous = count === 4 ? d.bin(16) : undefined;
    d.end();
    if (key.length > 0 && (previous || ![2, 3].includes(key[0]))) throw new Malformed();
    if (previous?.every((byte) => byte === 0)) throw new Malformed();
    return { id, created, key, previous };
  },
  proof(d) {
    d.array(3);
    const [origin, key, expires] = [d.bin(8), d.bin(16), d.time()];
    d.end();
    return { origin, key, expires };
  },
};

const fields = {
  session: (s) => [s.id, s.created, s.sealed, s.expires, s.mode, s.csrf, s.values],
  flash: (f) => [f.expires, f.values],
  lease: (l) => [l.id, l.seen],
  device: (d) => [d.id, d.created, d.key, ...(d.previous ? [d.previous] : [])],
  proof: (p) => [p.origin, p.key, p.expires],
  challenge: (c) => [c.kind, c.id, c.time],
};

export const encodePayload = (purpose, content) => encode(fields[purpose](content), -1);

// 2: cookies and their names

const base = ({ name }, purpose) => (purpose === "session" ? name : `${name}.${purpose}`);
const cookieNames = (agreed, purpose) =>
  Array.from({ length: MAX_COOKIES }, (_, i) => base(agreed, purpose) + (i === 0 ? "" : `.${i}`));
const tagged = ({ name }, purpose, origin) => `${name}.${purpose}.${toText(origin)}`; // 11.1
const marker = ({ name }, id) => `${name}.ended.${toText(id.subarray(0, 8))}`;

const trim = (text) => text.replace(/^[ \t]+/, "").replace(/(?<![ \t])[ \t]+$/, "");

export function parseCookies(lines) {
  return lines.flatMap((line) => line.split(";")).map((pair) => {
    const [name, ...value] = trim(pair).split("=");
    return { name: trim(name), value: value.join("=").replace(/^"(.*)"$/s, "$1") };
  });
}

// 5.1: the tag, from the first bytes of a token.
const tagOf = (start) => toText(start.subarray(17, 20));

// 5.3: the candidates of one compartment, as { text } or { reason }. Drawn one by one, since there may be many.

function* candidates(heads, numbered) {
  for (const head of heads) {
    const n = /^[1-9]/.test(head) ? Number(head[0]) : 0;
    const part0 = head.slice(1);
    if (n <= 1) {
      yield n === 1 ? { text: part0 } : { reason: "malformed" };
      continue;
    }
    const start = part0.length >= PART_0 && part0.length % 4 === 0 && fromText(part0.slice(0, PART_0));
    if (!start) {
      yield { reason: "malformed" };
      continue;
    }
    const tag = tagOf(start);
    const choices = [];
    let reason;
    for (let i = 1; i < n && !reason; i++) {
      const tagged = numbered[i - 1].filter((value) => value.startsWith(tag)).map((value) => value.slice(4));
      const parts = new Set(tagged.filter((part) => part !== "" && (i === n - 1 || part.length % 4 === 0)));
      if (parts.size === 0) reason = tagged.length > 0 ? "malformed" : "torn";
      choices.push(parts);
    }
    if (reason) yield { reason };
    else for (const rest of combine(choices)) yield { text: part0 + rest };
  }
}

// One of each choice, in all combinations; the first choice changes first.
function* combine(choices) {
  if (choices.length === 0) yield "";
  else for (const part of choices.at(-1)) for (const before of combine(choices.slice(0, -1))) yield before + part;
}

// The payloads of one compartment that open, and the reason why the first candidate doesn't; undefined if none came. check
// may refuse one that opens.
function join(agreed, purpose, cookies, check = () => {}) {
  const limit = (list, most) => {
    if (list.length > most && purpose !== "lease") throw new Refused("ambiguous");
    return list.slice(0, most);
  };
  const values = (name, from) => from.filter((c) => c.name === name).map((c) => c.value);
  const [name, ...others] = cookieNames(agreed, purpose);
  const heads = limit([...new Set(values(name, cookies))], MAX_HEADS);
  const numbered = limit(cookies.filter((c) => others.includes(c.name)), MAX_NUMBERED);
  if (heads.length === 0) return undefined;

  const found = [];
  for (const candidate of candidates(heads, others.map((other) => values(other, numbered)))) {
    if (found.push(candidate) > MAX_CANDIDATES) break;
  }
  const tried = limit(found, MAX_CANDIDATES);

  const opened = [];
  let reason;
  for (const [i, candidate] of tried.entries()) {
    try {
      if (candidate.reason) throw new Refused(candidate.reason);
      const content = open(agreed, purpose, candidate.text);
      check(content);
      opened.push(content);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (i === 0) reason = error.reason;
    }
  }
  return { opened, reason };
}

// 7: what a request brought. These return undefined if nothing came, and throw Refused.

export function readSession(agreed, cookies, report = () => {}) {
  const came = join(agreed, "session", cookies);
  if (!came) return undefined;
  const { opened, reason } = came;
  if (opened.length === 0) throw new Refused(reason);
  const newest = new Map(); // by ID, in the order in which the IDs came
  for (const session of opened) {
    const id = session.id.toString("hex");
    if (!newest.has(id) || session.sealed > newest.get(id).sealed) newest.set(id, session);
  }
  const leases = agreed.idleTimeout === undefined ? [] : readLeases(agreed, cookies, report);
  const checked = [...newest.values()].map((session) => ({ session, fault: faultOf(agreed, cookies, leases, session) }));
  const valid = checked.filter(({ fault }) => fault === undefined);
  if (valid.length === 0) throw new Refused(checked[0].fault);
  if (valid.length > 1) throw new Refused("ambiguous");
  return valid[0].session;
}

// 7.1: why a session isn't valid; undefined if it is.
function faultOf(agreed, cookies, leases, session) {
  const { name, now, notBefore, idleTimeout } = agreed;
  if (session.created > now + SKEW || session.sealed > now + SKEW) return "future";
  if (now >= session.expires) return "expired";
  if (notBefore !== undefined && session.created < notBefore) return "revoked";
  if (cookies.some((c) => c.name === marker({ name }, session.id))) return "ended";
  if (idleTimeout !== undefined && session.mode !== 2n) {
    const last = leases
      .filter((l) => l.id.equals(session.id) && l.seen <= now + SKEW)
      .reduce((greatest, l) => (l.seen > greatest ? l.seen : greatest), session.sealed);
    if (now - last > idleTimeout) return "idle";
  }
  if (agreed.proofTime !== undefined && session.bound) {
    const device = readDevice(agreed, cookies, session.id);
    if (!device.permitted && !device.proven) return "unproven";
    session.proven = device.proven;
  }
  return undefined;
}

// 11.2: what the device cookies of a session say.
function readDevice(agreed, cookies, id) {
  const origin = id.subarray(0, 8);
  const opened = (purpose) => {
    const name = tagged(agreed, purpose, origin);
    const values = [...new Set(cookies.filter((c) => c.name === name).map((c) => c.value))].slice(0, MAX_HEADS);
    return values.flatMap((value) => {
      try {
        return value[0] === "1" ? [open(agreed, purpose, value.slice(1))] : [];
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        return [];
      }
    });
  };
  const devices = opened("device").filter((d) => d.id.subarray(0, 8).equals(origin));
  const proofs = opened("proof").filter((p) => p.origin.equals(origin) && agreed.now < p.expires);
  return {
    permitted: devices.some((d) => d.key.length === 0 && (d.id.equals(id) || d.previous?.equals(id))),
    proven: devices.some((d) => d.key.length > 0 && proofs.some((p) => p.key.equals(keyHash(d.key)))),
  };
}

export const keyHash = (key) => createHash("sha256").update(key).digest().subarray(0, 16);

// 11.3: Set-Cookie lines that write a device or a proof.
export function writeTagged(agreed, purpose, content, age) {
  const origin = content.origin ?? content.id.subarray(0, 8);
  return [line(agreed, tagged(agreed, purpose, origin), "1" + seal(agreed, purpose, encodePayload(purpose, content)), age)];
}

// 11.4
export const challenge = (agreed, content) => seal(agreed, "challenge", encodePayload("challenge", content));

export function readFlash(agreed, cookies) {
  const came = join(agreed, "flash", cookies, ({ expires }) => {
    if (agreed.now >= expires) throw new Refused("expired");
  });
  if (!came) return undefined;
  const { opened, reason } = came;
  if (opened.length === 0) throw new Refused(reason);
  if (opened.length > 1) throw new Refused("ambiguous");
  return opened[0];
}

// 7.3: the leases of any session. Never throws: one that is refused has no say. report hears why none opened, if some
// came.
function readLeases(agreed, cookies, report) {
  const { opened, reason } = join(agreed, "lease", cookies) ?? { opened: [] };
  if (opened.length === 0 && reason) report(reason);
  return opened;
}

// 6.6

export function checkCSRF(session, token) {
  const bytes = token.length === 43 ? fromText(token) : undefined;
  if (!bytes || session.csrf.every((byte) => byte === 0)) return false;
  const unmasked = Buffer.from(bytes.subarray(16).map((byte, i) => byte ^ bytes[i]));
  return timingSafeEqual(unmasked, session.csrf);
}

export function maskCSRF(session) {
  const mask = randomBytes(16);
  return toText(Buffer.concat([mask, session.csrf.map((byte, i) => byte ^ mask[i])]));
}

// 5.1: the text in as few parts as can be; room[i] is how many characters part i may have.
export function split(text, room) {
  const parts = [];
  for (let at = 0; at < text.length; at += parts.at(-1).length) {
    if (parts.length === MAX_COOKIES) throw new RangeError("too large");
    const most = room[parts.length];
    const all = text.length - at <= most;
    parts.push(text.slice(at, all ? undefined : at + most - (most % 4)));
  }
  return parts;
}

const maxAge = {
  session: ({ now }, s) => (s.mode === 0n ? undefined : s.expires - now > 1n ? s.expires - now : 1n),
  flash: ({ now }, f) => f.expires - now,
  lease: ({ idleTimeout }) => idleTimeout,
};

const line = (agreed, name, value, age) =>
  `${name}=${value}${agreed.attributes}${age === undefined ? "" : `; Max-Age=${age}`}`;

const deletion = (agreed, name) => line(agreed, name, "", 0n) + "; Expires=Thu, 01 Jan 1970 00:00:00 GMT";

// 8: Set-Cookie lines that write a compartment, and delete those of the cookies that it leaves stale. content may hold the
// payload's bytes. cut, if given, makes the parts of the text instead of split.
export function write(agreed, purpose, content, cookies, cut = split) {
  const age = maxAge[purpose](agreed, content);
  const text = seal(agreed, content.bound ? "bound" : purpose, content.bytes ?? encodePayload(purpose, content));
  const tag = tagOf(fromText(text.slice(0, PART_0)));
  const names = cookieNames(agreed, purpose);
  const room = names.map((name, i) => MAX_LINE - line(agreed, name, i === 0 ? "n" : tag, age).length);
  const parts = cut(text, room);
  const stale = names.slice(parts.length).filter((name) => cookies.some((c) => c.name === name));
  return [
    ...parts.map((part, i) => line(agreed, names[i], (i === 0 ? parts.length : tag) + part, age)),
    ...stale.map((name) => deletion(agreed, name)),
  ];
}

const deletions = (agreed, purpose, cookies) =>
  cookieNames(agreed, purpose).filter((name) => cookies.some((c) => c.name === name)).map((name) => deletion(agreed, name));

// 8.2, 3: Set-Cookie lines that delete flash cookies of which nothing can be read, for a response that writes or destroys the
// session but no flash.
export function deleteUnreadable(agreed, cookies) {
  try {
    if (readFlash(agreed, cookies)) return [];
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
  }
  return deletions(agreed, "flash", cookies);
}

// 8.2, 5: Set-Cookie lines that destroy the session.
export function destroy(agreed, cookies) {
  const lines = [...["session", "lease"].flatMap((purpose) => deletions(agreed, purpose, cookies)), ...deleteUnreadable(agreed, cookies)];
  let opened = [];
  try {
    opened = join(agreed, "session", cookies)?.opened ?? [];
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
  }
  const live = opened.filter((s) => agreed.now < s.expires);
  const markers = new Set(live.map((s) => marker(agreed, s.id)));
  return [...lines, ...[...markers].map((name) => line(agreed, name, agreed.now, MARKER_AGE))];
}
