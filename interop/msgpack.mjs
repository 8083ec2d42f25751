// The msgpack of FORMAT.md, section 6. What a type is in JavaScript:
//
//   nil null · boolean · integer BigInt · float of 64 bits Number · float of 32 bits Float32 · byte string Buffer
//   string String, or Text if it isn't UTF-8 · timestamp Timestamp · list Array · map Map
//
// Integers are never Numbers: a Number can't tell 1 from 1.0, nor hold 2^53 + 1.

const MAX_DEPTH = 32;
const MAX_TIME = 2n ** 61n - 1n;

export class Malformed extends Error {}

export class Float32 {
  constructor(value) { this.value = value; }
}

// A string that isn't UTF-8.
export class Text {
  constructor(bytes) { this.bytes = bytes; }
}

// seconds is a BigInt, nanoseconds a Number.
export class Timestamp {
  constructor(seconds, nanoseconds) { Object.assign(this, { seconds, nanoseconds }); }
}

// A value of the outermost map with the bytes in which it came: unless replaced, it is written with these.
export class Kept {
  constructor(value, bytes) { Object.assign(this, { value, bytes }); }
}

// ignoreBOM means that a U+FEFF at the beginning isn't dropped.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function text(bytes) {
  try {
    return utf8.decode(bytes);
  } catch {
    return new Text(bytes);
  }
}

function textBytes(value) {
  if (value instanceof Text) return value.bytes;
  const bytes = Buffer.from(value);
  if (bytes.toString() !== value) throw new RangeError("a string with half of a surrogate pair");
  return bytes;
}

export class Decoder {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  take(n) {
    if (n > this.bytes.length - this.at) throw new Malformed();
    return this.bytes.subarray(this.at, (this.at += n));
  }

  number(size) { // unsigned
    return this.take(size).reduce((n, byte) => n * 256 + byte, 0);
  }

  bigint(size) {
    return BigInt("0x" + this.take(size).toString("hex"));
  }

  end() {
    if (this.at !== this.bytes.length) throw new Malformed();
  }

  // The fields of a payload.

  array(...counts) {
    const code = this.number(1);
    const got = code >> 4 === 9 ? code & 15 : code === 0xdc ? this.number(2) : code === 0xdd ? this.number(4) : -1;
    if (!counts.includes(got)) throw new Malformed();
    return got;
  }

  uint(max) {
    const code = this.number(1);
    if (code > 0x7f && (code < 0xcc || code > 0xcf)) throw new Malformed();
    const n = code <= 0x7f ? BigInt(code) : this.bigint(1 << (code - 0xcc));
    if (n > max) throw new Malformed();
    return n;
  }

  time() {
    return this.uint(MAX_TIME);
  }

  bin(...sizes) {
    const code = this.number(1);
    if (code < 0xc4 || code > 0xc6) throw new Malformed();
    const bytes = this.take(this.number(1 << (code - 0xc4)));
    if (!sizes.includes(bytes.length)) throw new Malformed();
    return bytes;
  }

  values() {
    const code = this.number(1);
    if (code >> 4 !== 8 && code !== 0xde && code !== 0xdf) throw new Malformed();
    return this.map(code >> 4 === 8 ? code & 15 : this.number(code === 0xde ? 2 : 4), 1, true);
  }

  // The values.

  map(count, depth, keep) {
    if (depth > MAX_DEPTH || 2 * count > this.bytes.length - this.at) throw new Malformed();
    const map = new Map();
    for (let last = null; count > 0; count--) {
      const key = this.string();
      if (last && Buffer.compare(last, key) >= 0) throw new Malformed();
      last = key;
      const start = this.at;
      const value = this.value(depth);
      map.set(text(key), keep ? new Kept(value, this.bytes.subarray(start, this.at)) : value);
    }
    return map;
  }

  list(count, depth) {
    if (depth > MAX_DEPTH || count > this.bytes.length - this.at) throw new Malformed();
    return Array.from({ length: count }, () => this.value(depth));
  }

  string() {
    const code = this.number(1);
    if (code >> 5 === 5) return this.take(code & 31);
    if (code < 0xd9 || code > 0xdb) throw new Malformed();
    return this.take(this.number(1 << (code - 0xd9)));
  }

  extension(size) {
    if (this.number(1) !== 0xff) throw new Malformed(); // type -1
    let seconds, nanoseconds = 0;
    if (size === 4) {
      seconds = this.bigint(4);
    } else if (size === 8) {
      const both = this.bigint(8);
      seconds = both & (2n ** 34n - 1n);
      nanoseconds = Number(both >> 34n);
    } else if (size === 12) {
      nanoseconds = this.number(4);
      seconds = BigInt.asIntN(64, this.bigint(8));
    } else {
      throw new Malformed();
    }
    if (nanoseconds >= 1e9) throw new Malformed();
    return new Timestamp(seconds, nanoseconds);
  }

  // depth counts the lists and maps around the value.
  value(depth) {
    const code = this.number(1);
    if (code <= 0x7f) return BigInt(code);
    if (code <= 0x8f) return this.map(code & 15, depth + 1);
    if (code <= 0x9f) return this.list(code & 15, depth + 1);
    if (code <= 0xbf) return text(this.take(code & 31));
    if (code >= 0xe0) return BigInt(code - 256);
    switch (code) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: case 0xc5: case 0xc6: return this.take(this.number(1 << (code - 0xc4)));
      case 0xc7: case 0xc8: case 0xc9: return this.extension(this.number(1 << (code - 0xc7)));
      case 0xca: return new Float32(this.take(4).readFloatBE());
      case 0xcb: return this.take(8).readDoubleBE();
      case 0xcc: case 0xcd: case 0xce: case 0xcf: return this.bigint(1 << (code - 0xcc));
      case 0xd0: case 0xd1: case 0xd2: case 0xd3: {
        const size = 1 << (code - 0xd0);
        return BigInt.asIntN(8 * size, this.bigint(size));
      }
      case 0xd6: return this.extension(4);
      case 0xd7: return this.extension(8);
      case 0xd9: case 0xda: case 0xdb: return text(this.take(this.number(1 << (code - 0xd9))));
      case 0xdc: return this.list(this.number(2), depth + 1);
      case 0xdd: return this.list(this.number(4), depth + 1);
      case 0xde: return this.map(this.number(2), depth + 1);
      case 0xdf: return this.map(this.number(4), depth + 1);
      default: throw new Malformed();
    }
  }
}

const big = (code, size, n) => Buffer.from([code, ...Buffer.from(n.toString(16).padStart(2 * size, "0"), "hex")]);

// The shortest of the codes that say a length; direct is how many the code 'fix' can hold in itself.
function head(n, fix, direct, codes) {
  if (n < direct) return Buffer.of(fix | n);
  const [code, size] = codes.find(([, size]) => n < 256 ** size);
  return big(code, size, n);
}

function integer(n) {
  if (n < -(2n ** 63n) || n >= 2n ** 64n) throw new RangeError("an integer of more than 64 bits");
  if (n >= -32n && n < 128n) return Buffer.of(Number(n & 255n));
  const fits = n < 0n ? (size) => BigInt.asIntN(8 * size, n) === n : (size) => BigInt.asUintN(8 * size, n) === n;
  const power = [0, 1, 2, 3].find((power) => fits(1 << power));
  return big((n < 0n ? 0xd0 : 0xcc) + power, 1 << power, BigInt.asUintN(8 << power, n));
}

function float(n) {
  const out = Buffer.of(0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0);
  if (!Number.isNaN(n)) out.writeDoubleBE(n, 1);
  return out;
}

function float32(n) {
  const out = Buffer.of(0xca, 0x7f, 0xc0, 0, 0);
  if (!Number.isNaN(n)) out.writeFloatBE(n, 1);
  return out;
}

function timestamp({ seconds, nanoseconds }) {
  if (seconds >= 0n && seconds < 2n ** 34n) {
    if (nanoseconds === 0 && seconds < 2n ** 32n) return Buffer.concat([Buffer.of(0xd6), big(0xff, 4, seconds)]);
    return Buffer.concat([Buffer.of(0xd7), big(0xff, 8, (BigInt(nanoseconds) << 34n) | seconds)]);
  }
  return Buffer.concat([Buffer.of(0xc7, 12), big(0xff, 4, nanoseconds), big(0, 8, BigInt.asUintN(64, seconds)).subarray(1)]);
}

// The bytes of a value. depth counts the lists and maps around it; a payload's array is encoded with depth -1.
export function encode(value, depth = 0) {
  if (value instanceof Kept) return value.bytes;
  if (value === null) return Buffer.of(0xc0);
  if (typeof value === "boolean") return Buffer.of(value ? 0xc3 : 0xc2);
  if (typeof value === "bigint") return integer(value);
  if (typeof value === "number") return float(value);
  if (value instanceof Float32) return float32(value.value);
  if (value instanceof Timestamp) return timestamp(value);
  if (typeof value === "string" || value instanceof Text) {
    const bytes = textBytes(value);
    return Buffer.concat([head(bytes.length, 0xa0, 32, [[0xd9, 1], [0xda, 2], [0xdb, 4]]), bytes]);
  }
  if (value instanceof Uint8Array) {
    return Buffer.concat([head(value.length, 0, 0, [[0xc4, 1], [0xc5, 2], [0xc6, 4]]), value]);
  }
  if (depth >= MAX_DEPTH) throw new RangeError("nested too deep");
  if (Array.isArray(value)) {
    const items = value.map((item) => encode(item, depth + 1));
    return Buffer.concat([head(value.length, 0x90, 16, [[0xdc, 2], [0xdd, 4]]), ...items]);
  }
  if (value instanceof Map) {
    const pairs = [...value].map(([key, item]) => [textBytes(key), encode(key), encode(item, depth + 1)]);
    pairs.sort((a, b) => Buffer.compare(a[0], b[0]));
    if (pairs.some((pair, i) => i > 0 && pair[0].equals(pairs[i - 1][0]))) throw new RangeError("a key twice");
    return Buffer.concat([head(value.size, 0x80, 16, [[0xde, 2], [0xdf, 4]]), ...pairs.flatMap((pair) => pair.slice(1))]);
  }
  throw new TypeError("not a value of the format");
}
