// Elements of tensors to bytes and back, as KServe v2 lays them out: little endian, and strings with their length before them.

export const sizes: Record<string, number> = {
  BOOL: 1, UINT8: 1, UINT16: 2, UINT32: 4, UINT64: 8, INT8: 1, INT16: 2, INT32: 4, INT64: 8, FP16: 2, BF16: 2, FP32: 4, FP64: 8,
};

export function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const brain = (bits: number) => {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, bits << 16);
  return view.getFloat32(0);
};

const readers: Record<string, (view: DataView, at: number) => number | bigint | boolean> = {
  BOOL: (view, at) => view.getUint8(at) !== 0,
  UINT8: (view, at) => view.getUint8(at),
  UINT16: (view, at) => view.getUint16(at, true),
  UINT32: (view, at) => view.getUint32(at, true),
  UINT64: (view, at) => view.getBigUint64(at, true),
  INT8: (view, at) => view.getInt8(at),
  INT16: (view, at) => view.getInt16(at, true),
  INT32: (view, at) => view.getInt32(at, true),
  INT64: (view, at) => view.getBigInt64(at, true),
  FP16: (view, at) => half(view.getUint16(at, true)),
  BF16: (view, at) => brain(view.getUint16(at, true)),
  FP32: (view, at) => view.getFloat32(at, true),
  FP64: (view, at) => view.getFloat64(at, true),
};

export type Element = number | bigint | boolean | Uint8Array;

export function decode(datatype: string, bytes: Uint8Array): Element[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (datatype === "BYTES") {
    const elements: Element[] = [];
    for (let at = 0; at + 4 <= bytes.length; ) {
      const length = view.getUint32(at, true);
      elements.push(bytes.subarray(at + 4, at + 4 + length));
      at += 4 + length;
    }
    return elements;
  }
  const [size, read] = [sizes[datatype], readers[datatype]];
  if (!size || !read) return [];
  return Array.from({ length: Math.floor(bytes.length / size) }, (_, n) => read(view, n * size));
}

/** One string. */
export function withLength(content: Uint8Array): Uint8Array {
  const all = new Uint8Array(4 + content.length);
  new DataView(all.buffer).setUint32(0, content.length, true);
  all.set(content, 4);
  return all;
}

/** Numbers as the type that a network takes them. */
export function encode(datatype: string, values: Float32Array): Uint8Array<ArrayBuffer> {
  if (datatype === "FP32") return new Uint8Array(values.slice().buffer);
  if (datatype === "UINT8") return Uint8Array.from(values, (value) => Math.max(0, Math.min(255, Math.round(value))));
  const bytes = new Uint8Array(values.length * 2);
  const view = new DataView(bytes.buffer);
  values.forEach((value, n) => view.setUint16(n * 2, toHalf(value), true));
  return bytes;
}

/** The nearest number of 16 bits, as far as pictures need it. */
function toHalf(value: number): number {
  const sign = value < 0 ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size < 2 ** -14) return sign | Math.round(size * 2 ** 24);
  const exponent = Math.min(15, Math.floor(Math.log2(size)));
  return sign | Math.min(0x7bff, Math.round((size / 2 ** exponent - 1) * 1024) + ((exponent + 15) << 10));
}

export const count = (shape: number[]) => shape.reduce((all, size) => all * size, 1);

/** JSON of a shape: of zeros and empty strings, or of small numbers by chance. */
export function example(datatype: string, shape: number[], random = false): string {
  const isFloat = /^(FP|BF)/.test(datatype);
  const one = () => {
    if (datatype === "BYTES") return "";
    if (datatype === "BOOL") return random && Math.random() < 0.5;
    if (!random) return 0;
    return isFloat ? Number(Math.random().toFixed(3)) : Math.floor(Math.random() * 100);
  };
  const build = (dims: number[]): unknown =>
    dims.length ? Array.from({ length: dims[0]! }, () => build(dims.slice(1))) : one();
  return JSON.stringify(build(shape));
}

/** The shape of nested lists, which have to be of one length at each depth. */
export function shapeOf(value: unknown): number[] {
  if (!Array.isArray(value)) return [];
  const parts = value.map(shapeOf);
  const inner = parts[0] ?? [];
  if (parts.some((part) => part.join() !== inner.join())) throw new Error("the lists are not of one length");
  return [value.length, ...inner];
}
