// Verifies the bundle beside it, then answers with onnxruntime-web: nothing leaves the page, nothing comes from elsewhere.
// The public key comes from who opens the page (`#key=HEX`, or typed in): a key inside the bundle would prove nothing.
// As a module: `import { open } from "./edge.js"; const model = await open(KEY); await model.predict({column: [value]})`.

const FORM = 1;
const EXACT = 2 ** 53;
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
  if (manifest.form !== FORM) throw new Refused(`The bundle is of form ${manifest.form}; this page reads ${FORM}.`);
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
  hint.textContent = ` ${one.datatype}${one.nullable ? ", may be empty" : ""}`;
  name.append(hint);
  const input = document.createElement("input");
  input.name = one.name;
  if (one.datatype === "BOOL") input.type = "checkbox";
  else if (one.kind === "column" && one.datatype !== "BYTES") Object.assign(input, { type: "number", step: one.datatype === "INT64" ? "1" : "any" });
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
  const { inputs, files, parity, made_at: made } = model.manifest;
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
