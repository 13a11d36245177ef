// A picture as the tensor that an input takes: the file itself, or its pixels.

import type { Tensor } from "../api";
import { encode, withLength } from "./tensors";
import type { Value } from "./infer";

/** How an input takes pictures, if it looks as if it did. */
export type Form =
  | { kind: "file" }
  | { kind: "pixels"; planes: boolean; channels: 1 | 3; height: number; width: number; scaled: boolean };

export const SCALES = {
  "0 to 1": { mean: [0, 0, 0], deviation: [255, 255, 255] },
  "0 to 255": { mean: [0, 0, 0], deviation: [1, 1, 1] },
  "-1 to 1": { mean: [127.5, 127.5, 127.5], deviation: [127.5, 127.5, 127.5] },
  ImageNet: { mean: [123.675, 116.28, 103.53], deviation: [58.395, 57.12, 57.375] },
};
export type Scale = keyof typeof SCALES;

/** The side of a network that takes any size, at most. */
const LARGEST = 640;

export function form(input: Tensor): Form | undefined {
  const dims = input.batched ? input.shape.slice(1) : input.shape;
  const count = dims.reduce((all, size) => all * Math.abs(size), 1);
  if (input.datatype === "BYTES") return count === 1 ? { kind: "file" } : undefined;
  if (input.datatype === "UINT8" && dims.length === 1 && dims[0]! < 0) return { kind: "file" };
  if (!["FP32", "FP16", "UINT8"].includes(input.datatype)) return undefined;
  const inner = dims.length === 4 ? dims.slice(1) : dims;
  if (inner.length !== 3) return undefined;
  const scaled = input.datatype !== "UINT8";
  // Three colours, or grey.
  for (const channels of [3, 1] as const) {
    const of = (height: number, width: number, planes: boolean): Form | undefined => {
      // A side of one is no picture's, and a lone size of one is as often a batch of sequences (1, 128, 768) or a series of numbers.
      const grey = dims.length === 4 || input.batched || !scaled || (height > 0 && height === width);
      if (height === 1 || width === 1 || (channels === 1 && !grey)) return undefined;
      return { kind: "pixels", planes, channels, height, width, scaled };
    };
    if (inner[0] === channels) return of(inner[1]!, inner[2]!, true);
    if (inner[2] === channels) return of(inner[0]!, inner[1]!, false);
  }
  return undefined;
}

/** How much of each colour is in grey, as everybody's libraries have it (BT.601). */
const GREY = [0.299, 0.587, 0.114];

/** The picture as that input takes it, and how its pixels are to those of the picture. */
export async function toTensor(
  input: Tensor,
  form: Form,
  file: Blob,
  scale: Scale,
): Promise<{ value: Value; width?: number; height?: number }> {
  const batch = input.batched ? [1] : [];
  if (form.kind === "file") {
    const bytes = new Uint8Array(await file.arrayBuffer());
    if (input.datatype === "UINT8") return { value: { bytes, shape: [...batch, bytes.length] } };
    const rest = (input.batched ? input.shape.slice(1) : input.shape).map(() => 1);
    return { value: { bytes: withLength(bytes), shape: [...batch, ...rest] } };
  }
  const bitmap = await createImageBitmap(file);
  const fit = Math.min(1, LARGEST / Math.max(bitmap.width, bitmap.height));
  // Networks of any size take multiples of 32.
  const natural = (size: number) => Math.max(32, Math.round((size * fit) / 32) * 32);
  // One side that is fixed leaves the other one to the picture's own proportions.
  const beside = (fixed: number, own: number, other: number) => (fixed > 0 ? Math.max(1, Math.round((own * fixed) / other)) : natural(own));
  const width = form.width > 0 ? form.width : beside(form.height, bitmap.width, bitmap.height);
  const height = form.height > 0 ? form.height : beside(form.width, bitmap.height, bitmap.width);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d")!;
  context.drawImage(bitmap, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  const { mean, deviation } = SCALES[form.scaled ? scale : "0 to 255"];
  const values = new Float32Array(width * height * form.channels);
  for (let pixel = 0; pixel < width * height; pixel += 1) {
    const colour = (channel: number) => (data[pixel * 4 + channel]! - mean[channel]!) / deviation[channel]!;
    if (form.channels === 1) {
      values[pixel] = GREY.reduce((sum, share, channel) => sum + share * colour(channel), 0);
      continue;
    }
    for (let channel = 0; channel < 3; channel += 1) {
      values[form.planes ? channel * width * height + pixel : pixel * 3 + channel] = colour(channel);
    }
  }
  const size = form.planes ? [form.channels, height, width] : [height, width, form.channels];
  const dims = input.batched ? input.shape.slice(1) : input.shape;
  const shape = [...batch, ...(dims.length === 4 ? [1] : []), ...size];
  return { value: { bytes: encode(input.datatype, values), shape }, width, height };
}
