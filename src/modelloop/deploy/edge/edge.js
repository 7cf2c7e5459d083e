// Verifies the bundle beside it, then answers with onnxruntime-web: nothing leaves the page, nothing comes from elsewhere.
// The public key comes from who opens the page (`#key=HEX`, or typed in): a key inside the bundle would prove nothing.
// As a module: `import { open } from "./edge.js"; const model = await open(KEY); await model.predict({column: [value]})`.

const FORM = 2; // the newest that is read; 2 brought moments and buckets
const EXACT = 2 ** 53;
const NONE = -(2n ** 63n);
const [FIRST, LAST] = [-62135596800000000, 253402300800000000]; // microseconds: the years 1 to 9999
const UNITS = { s: 1e6, ms: 1e3, us: 1 };
const TIME = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?(Z|[+-]\d\d:\d\d(?::\d\d)?)?)?$/;
const ORT = "ort/ort.wasm.bundle.min.mjs";
const WASM = "ort/ort-wasm-simd-threaded.wasm";
const ARRAYS = {
  BOOL: Uint8Array, INT8: Int8Array, INT16: Int16Array, INT32: Int32Array, INT64: BigInt64Array, UINT8: Uint8Array,
  UINT16: Uint16Array, UINT32: Uint32Array, UINT64: BigUint64Array, FP32: Float32Array, FP64: Float64Array,
};
const KINDS = {
  BOOL: "bool", INT8: "int8", INT16: "int16", INT32: "int32", INT64: "int64", UINT8: "uint8", UINT16: "uint16",
  UINT32: "uint32", UINT64: "uint64", FP32: "float32", FP64: "float64", BYTES: "string",
};

export class Refused extends Error {}

function bytesOf(hex, size, what) {
  const text = hex.trim();
  if (!/^[0-9a-f]*$/i.test(text) || text.length !== size * 2) throw new Refused(`${what} is not ${size * 2} hex digits.`);
  return Uint8Array.from(text.match(/../g), (two) => parseInt(two, 16));
}

async function read(path) {
  const answer = await fetch(new URL(path, import.meta.url), { cache: "no-store" });
  if (!answer.ok) throw new Refused(`${path} cannot be read: ${answer.status}.`);
  return new Uint8Array(await answer.arrayBuffer());
}

async function sha256(data) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  return Array.from(digest, (one) => one.toString(16).padStart(2, "0")).join("");
}

export async function verified(key) {
  if (!globalThis.crypto?.subtle) throw new Refused("This page needs https, or localhost: elsewhere browsers verify nothing.");
  const text = await read("manifest.json");
  const written = new TextDecoder().decode(await read("manifest.sig"));
  if (!/^[0-9a-f]{128}$/.test(written)) throw new Refused("manifest.sig is not 128 hex digits.");
  const signature = bytesOf(written, 64, "manifest.sig");
  const imported = await crypto.subtle.importKey("raw", bytesOf(key, 32, "The public key"), "Ed25519", false, ["verify"]);
  if (!(await crypto.subtle.verify("Ed25519", imported, signature, text))) {
    throw new Refused("The manifest is not signed by this key: it was changed, or another key signed it.");
  }
  const manifest = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(text));
  if (!(manifest.form >= 1 && manifest.form <= FORM)) {
    throw new Refused(`The bundle is of form ${manifest.form}; this page reads up to ${FORM}.`);
  }
  const files = {};
  for (const [path, facts] of Object.entries(manifest.files)) {
    const data = await read(path);
    if (data.length !== facts.size || (await sha256(data)) !== facts.sha256) {
      throw new Refused(`${path} is not the file that was signed.`);
    }
    files[path] = data;
  }
  return { manifest, files };
}

// What runs is what was verified: the bytes themselves, not what the server would send next.
async function runtime(files) {
  const address = URL.createObjectURL(new Blob([files[ORT]], { type: "text/javascript" }));
  const ort = await import(address);
  URL.revokeObjectURL(address);
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = files[WASM].buffer;
  ort.env.logLevel = "error";
  return ort;
}

function number(one, value) {
  if (one.datatype === "BOOL" && typeof value === "boolean") return value ? 1 : 0;
  if (one.datatype === "BOOL" || typeof value !== "number") throw new Refused(`${one.name} holds ${value}; expected ${one.datatype}.`);
  if (one.datatype === "INT64" && (!Number.isInteger(value) || Math.abs(value) > EXACT)) {
    throw new Refused(`${one.name} holds ${value}; expected a whole number up to 2^53.`);
  }
  return value;
}

function text(one, value, missing) {
  if (typeof value !== "string" || value.includes("\0") || value === missing || !value.isWellFormed()) {
    throw new Refused(`${one.name} holds ${value}; expected text (without the character 0).`);
  }
  if (one.only !== null && !one.only.includes(value)) throw new Refused(`${one.name} holds ${value}, which the model has no entry for.`);
  return value;
}

function column(one, values, missing) {
  return Array.from(values, (value, row) => {
    if (value === null || value === undefined || Number.isNaN(value)) {
      if (!one.nullable) throw new Refused(`${one.name} has no value in row ${row}, and must have one.`);
      return one.datatype === "BYTES" ? missing : NaN;
    }
    return one.datatype === "BYTES" ? text(one, value, missing) : number(one, value);
  });
}

// A number as Python writes float64: what the package hashes.
function written(value) {
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  const [digits, power] = Math.abs(value).toExponential().split("e");
  const [exponent, plain] = [Number(power), digits.replace(".", "")];
  const sign = value < 0 ? "-" : "";
  if (exponent < -4 || exponent >= 16) {
    return `${sign}${digits}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${plain}`;
  const whole = plain.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  return `${sign}${whole}.${plain.slice(exponent + 1) || "0"}`;
}

// The bucket of a value's CRC-32 (ISO 3309), begun at the seed as zlib does.
function bucket(one, value, missing, row) {
  if (value === null || value === undefined || Number.isNaN(value)) {
    if (!one.nullable) throw new Refused(`${one.name} has no value in row ${row}, and must have one.`);
    return -1;
  }
  const said = one.datatype === "BYTES" ? text(one, value, missing) : written(number(one, value));
  let crc = ~one.hashed.seed;
  for (const byte of new TextEncoder().encode(said)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (~crc >>> 0) % one.hashed.buckets;
}

function noMoment(one, value) {
  const wanted = one.datatype === "BYTES" ? "YYYY-MM-DD, or with THH:MM[:SS[.ffffff]] and perhaps Z or +HH:MM"
    : `a time of the years 1 to 9999 in ${one.moment.unit}`;
  return new Refused(`${one.name} holds ${value}; expected ${wanted}.`);
}

// Days since 1970 (Hinnant, days_from_civil): Date reads years below 100 as others.
function daysOf(year, month, day) {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const ofEra = y - era * 400;
  const ofYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  return era * 146097 + ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + ofYear - 719468;
}

// The microseconds that a text says, and its offset in seconds, or null.
function timeOf(one, value) {
  const found = typeof value === "string" ? TIME.exec(value) : null;
  if (found === null) throw noMoment(one, value);
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map((part) => Number(part ?? 0));
  const next = month === 12 ? daysOf(year + 1, 1, 1) : daysOf(year, month + 1, 1);
  const wrong = year < 1 || month < 1 || month > 12 || day < 1 || day > next - daysOf(year, month, 1);
  if (wrong || hour > 23 || minute > 59 || second > 59) throw noMoment(one, value);
  const micros = BigInt((found[7] ?? "").padEnd(6, "0").slice(0, 6));
  let offset = null;
  if (found[8]) {
    const [h, m, s] = found[8] === "Z" ? [0, 0, 0] : [...found[8].slice(1).split(":").map(Number), 0];
    if (h > 23 || m > 59 || s > 59) throw noMoment(one, value);
    offset = (h * 3600 + m * 60 + s) * (found[8][0] === "-" ? -1 : 1);
  }
  const seconds = daysOf(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
  return [BigInt(seconds) * 1000000n + micros, offset];
}

function offsetAt(one, zone, micros, changes) {
  if (micros >= BigInt(zone.until) * 1000000n) {
    throw new Refused(`${one.name} holds a time beyond what the bundle knows of ${one.moment.zone}.`);
  }
  let [low, high] = [0, changes.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (BigInt(changes[middle]) * 1000000n <= micros) low = middle + 1;
    else high = middle;
  }
  return BigInt(zone.offsets[low]) * 1000000n;
}

// Microseconds since 1970, of UTC or of the zone's clocks: as runtime.py makes them.
function moment(one, value, zone, row) {
  if (value === null || value === undefined || Number.isNaN(value)) {
    if (!one.nullable) throw new Refused(`${one.name} has no value in row ${row}, and must have one.`);
    return NONE;
  }
  let [time, offset] = [0n, 0];
  if (one.datatype === "BYTES") [time, offset] = timeOf(one, value);
  else {
    const found = number(one, value) * UNITS[one.moment.unit];
    if (!(found > FIRST && found < LAST)) throw noMoment(one, value);
    time = BigInt(Math.floor(found));
  }
  if (offset !== null) {
    time -= BigInt(offset) * 1000000n;
    if (!one.moment.wall) return time;
    if (zone) time += offsetAt(one, zone, time, zone.at);
    if (time < BigInt(FIRST) || time >= BigInt(LAST)) throw noMoment(one, value);
    return time;
  }
  if (one.moment.wall || !zone) return time;
  // Where clocks show a time twice, the first is meant; one that they skip is counted as before the change.
  const shown = zone.at.map((at, place) => at + Math.max(zone.offsets[place], zone.offsets[place + 1]));
  return time - offsetAt(one, zone, time, shown);
}

function shapeOf(values) {
  return Array.isArray(values) ? [values.length, ...(values.length ? shapeOf(values[0]) : [])] : [];
}

class Model {
  constructor(ort, session, manifest) {
    Object.assign(this, { ort, session, manifest });
  }

  tensor(one, values) {
    if (values === undefined) throw new Refused(`The column ${one.name} is missing.`);
    if (one.kind === "tensor") {
      const flat = values.flat(Infinity);
      const whole = one.datatype.endsWith("INT64");
      const data = one.datatype === "BYTES" ? flat : ARRAYS[one.datatype].from(whole ? flat.map(BigInt) : flat);
      return new this.ort.Tensor(KINDS[one.datatype], data, shapeOf(values));
    }
    if (one.kind === "moment") {
      const zone = this.manifest.zones[one.moment.zone];
      const times = Array.from(values, (value, row) => moment(one, value, zone, row));
      return new this.ort.Tensor("int64", BigInt64Array.from(times), [times.length]);
    }
    if (one.kind === "hashed") {
      const found = Array.from(values, (value, row) => bucket(one, value, this.manifest.missing, row));
      return new this.ort.Tensor("float64", Float64Array.from(found), [found.length]);
    }
    const listed = column(one, values, this.manifest.missing);
    if (one.datatype === "BYTES") return new this.ort.Tensor("string", listed, [listed.length]);
    return new this.ort.Tensor("float64", Float64Array.from(listed), [listed.length]);
  }

  // Columns of values (null: missing) -> {output: {data, dims}}.
  async predict(columns) {
    const sizes = new Set(this.manifest.inputs.map((one) => columns[one.name]?.length));
    if (sizes.size !== 1) throw new Refused("The columns have not all as many rows.");
    const rows = [...sizes][0] ?? 0;
    if (!this.manifest.by_row || rows < 2) return this.answered(columns);
    const parts = [];
    for (let row = 0; row < rows; row += 1) {
      const part = Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values.slice(row, row + 1)]));
      parts.push(await this.answered(part));
    }
    return Object.fromEntries(Object.entries(parts[0]).map(([name, first]) => [
      name, { dims: [rows, ...first.dims.slice(1)], data: parts.flatMap((part) => part[name].data) },
    ]));
  }

  async answered(columns) {
    const feed = Object.fromEntries(this.manifest.inputs.map((one) => [one.tensor, this.tensor(one, columns[one.name])]));
    const names = this.manifest.outputs.map((one) => one.name);
    const found = await this.session.run(feed, names);
    return Object.fromEntries(names.map((name) => [name, { dims: [...found[name].dims], data: Array.from(found[name].data) }]));
  }
}

// Verify, load. Throws Refused: nothing of the bundle but this file has run then.
export async function open(key) {
  const { manifest, files } = await verified(key);
  if (!(ORT in files)) throw new Refused("The bundle was built without --web: it has no runtime for browsers.");
  const ort = await runtime(files);
  const session = await ort.InferenceSession.create(files["model.onnx"], { executionProviders: ["wasm"] });
  return new Model(ort, session, manifest);
}

// The page.

const part = (id) => document.getElementById(id);

function field(one) {
  const label = document.createElement("label");
  const name = document.createElement("span");
  name.textContent = one.name;
  const hint = document.createElement("small");
  const kind = one.kind === "moment" && one.datatype === "BYTES" ? "time, as 2013-01-31T05:00" : one.datatype;
  hint.textContent = ` ${kind}${one.nullable ? ", may be empty" : ""}`;
  name.append(hint);
  const input = document.createElement("input");
  input.name = one.name;
  if (one.datatype === "BOOL") input.type = "checkbox";
  else if (one.kind !== "tensor" && one.datatype !== "BYTES") Object.assign(input, { type: "number", step: one.datatype === "INT64" ? "1" : "any" });
  input.required = one.datatype !== "BOOL" && one.datatype !== "BYTES" && !one.nullable;
  label.append(name, input);
  return label;
}

function typed(one, input) {
  if (one.kind === "tensor") return JSON.parse(input.value);
  if (one.datatype === "BOOL") return input.checked;
  if (one.datatype === "BYTES") return input.value === "" && one.nullable ? null : input.value;
  return input.value === "" ? null : Number(input.value);
}

function show(answers) {
  part("answers").replaceChildren(...Object.entries(answers).flatMap(([name, one]) => {
    const term = document.createElement("dt");
    term.textContent = name;
    const value = document.createElement("dd");
    value.textContent = one.data.map((each) => (typeof each === "number" ? each.toPrecision(6) : String(each))).join(", ");
    return [term, value];
  }));
}

async function guarded(work) {
  part("refused").textContent = "";
  try {
    return await work();
  } catch (error) {
    part("refused").textContent = `refused: ${error.message ?? error}`;
    return null;
  }
}

async function begin(key) {
  const model = await guarded(() => open(key));
  globalThis.edge = model;
  part("title").textContent = model ? model.manifest.version : "This bundle does not answer";
  part("ask").hidden = model === null;
  if (model === null) return;
  part("trust").hidden = true;
  const { files, parity, made_at: made } = model.manifest;
  // a column that several ops read as a moment is one field
  const inputs = [...new Map(model.manifest.inputs.map((one) => [one.name, one])).values()];
  part("inputs").replaceChildren(...inputs.map(field));
  part("facts").textContent = `Signed and whole: ${Object.keys(files).length} files. Made ${made}. On ${parity.rows} rows it answers as the gateway does, to ${parity.largest.toExponential(1)}. Answered on this device.`;
  part("ask").onsubmit = async (event) => {
    event.preventDefault();
    part("answers").replaceChildren();
    const answers = await guarded(() => {
      const given = inputs.map((one) => {
        const value = typed(one, part("ask").elements[one.name]);
        return [one.name, one.kind === "tensor" ? value : [value]];
      });
      return model.predict(Object.fromEntries(given));
    });
    if (answers) show(answers);
  };
}

if (globalThis.document && part("ask")) {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  if (key) await begin(key);
  else {
    part("title").textContent = "Which key do you trust?";
    part("trust").hidden = false;
    part("trust").onsubmit = (event) => {
      event.preventDefault();
      begin(part("key").value);
    };
  }
}
