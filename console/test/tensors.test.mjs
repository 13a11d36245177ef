// What the page computes by itself, without a browser.
import assert from "node:assert/strict";
import { test } from "node:test";
import { build } from "esbuild";

async function load(file) {
  const { outputFiles } = await build({ entryPoints: [file], bundle: true, format: "esm", write: false });
  return import(`data:text/javascript,${encodeURIComponent(outputFiles[0].text)}`);
}
const tensors = await load("src/try/tensors.ts");
const { form } = await load("src/try/picture.ts");
const { boxes } = await load("src/try/boxes.ts");
const { input } = await load("src/try/infer.ts");
const { layout } = await load("src/layout.ts");
const { number, time, bytes } = await load("src/format.ts");

test("halves are what they were", () => {
  const values = Float32Array.of(0, 1, -2, 0.5, 65504, 255 / 1024, 2 ** -20);
  const there = tensors.decode("FP16", tensors.encode("FP16", values));
  assert.deepEqual(there, [...values]);
  assert.equal(tensors.half(0x7c00), Infinity);
  assert.deepEqual(tensors.decode("INT64", Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 255)), [-1n]);
});

test("strings have their length before them", () => {
  const bytes = tensors.withLength(new TextEncoder().encode("ab"));
  assert.deepEqual([...bytes], [2, 0, 0, 0, 97, 98]);
  assert.deepEqual(tensors.decode("BYTES", bytes).map((one) => new TextDecoder().decode(one)), ["ab"]);
});

test("which inputs take pictures, in colours or grey", () => {
  const of = (shape, datatype = "FP32", batched = false) => form({ name: "x", datatype, shape, batched });
  const pixels = (planes, channels, height, width, scaled = true) => ({ kind: "pixels", planes, channels, height, width, scaled });
  assert.deepEqual(of([1, 3, 320, 320]), pixels(true, 3, 320, 320));
  assert.deepEqual(of([-1, 224, 224, 3], "UINT8", true), pixels(false, 3, 224, 224, false));
  // A reader of lines of text, and one of fingerprints.
  assert.deepEqual(of([1, 1, 64, -1]), pixels(true, 1, 64, -1));
  assert.deepEqual(of([-1, -1, -1, 1], "FP32", true), pixels(false, 1, -1, -1));
  for (const none of [[1, 1, 64], [1, 64, 1], [-1, 2, 1, 128], [1, 512], [16]]) assert.equal(of(none), undefined, `${none}`);
  // Figures of one sample; a batch of sequences has three sizes too, of which one is often one.
  assert.deepEqual(of([-1, 1, 28, 28], "FP32", true), pixels(true, 1, 28, 28));
  assert.deepEqual(of([1, 28, 28]), pixels(true, 1, 28, 28));
  assert.deepEqual(of([48, -1, 1], "UINT8"), pixels(false, 1, 48, -1, false));
  for (const none of [[1, 128, 768], [1, -1, -1], [-1, -1, 1], [64, 100, 1]]) assert.equal(of(none), undefined, `${none}`);
  assert.deepEqual(of([-1], "UINT8"), { kind: "file" });
});

test("lists in lists have a shape, or are refused", () => {
  assert.deepEqual(tensors.shapeOf([[1, 2], [3, 4]]), [2, 2]);
  assert.throws(() => tensors.shapeOf([[1, 2], [3]]));
  assert.equal(tensors.example("FP32", [1, 2]), "[[0,0]]");
});

test("numbers are sent as they were typed", () => {
  const tensor = { name: "x", datatype: "INT64" };
  const { header } = input(tensor, { json: "[[9007199254740993, -9223372036854775808]]" });
  assert.equal(header, '{"name":"x","datatype":"INT64","shape":[1,2],"data":[[9007199254740993, -9223372036854775808]]}');
  assert.equal(input(tensor, { json: "1" }).header, '{"name":"x","datatype":"INT64","shape":[],"data":[1]}');
  assert.throws(() => input(tensor, { json: "[1" }), /^Error: x: /);
});

test("a detector may have more boxes than a call takes arguments", () => {
  const count = 200_000;
  const out = { name: "boxes", datatype: "FP32", shape: [1, count, 4], elements: new Array(4 * count).fill(0) };
  assert.deepEqual(boxes([out], { width: 10, height: 10 }, [1, 1]), []);
});

test("boxes come of tensors and of JSON, in pixels and in parts", () => {
  const out = (name, datatype, shape, elements) => ({ name, datatype, shape, elements });
  const size = { width: 100, height: 50 };
  const found = boxes(
    [out("bbox", "FP32", [2, 4], [10, 10, 20, 20, 0, 0, 5, 5]), out("score", "FP32", [2], [0.9, 0.1])],
    size,
    [2, 1],
  );
  assert.deepEqual(found.map((one) => one.box), [[20, 10, 40, 20]]);
  const json = new TextEncoder().encode('[{"person":[0.1,0.2,0.5,1],"score":0.8}]');
  const [one] = boxes([out("text", "BYTES", [1], [json])], size, [1, 1]);
  assert.deepEqual([one.box, one.label], [[10, 10, 50, 50], "person"]);
  assert.deepEqual(boxes([out("logits", "FP32", [1, 4], [1, 2, 3, 4])], size, [1, 1]), []);
});

test("steps stand behind what they need", () => {
  const step = (model, inputs, outputs) => ({ model, inputs, outputs, requests: 0, spent: [0, 0, 0, 0] });
  const { boxes: placed, edges } = layout({
    name: "e",
    inputs: [{ name: "x" }],
    outputs: [{ name: "z" }],
    steps: [step("last", { a: "y", b: "x" }, { o: "z" }), step("first", { a: "x" }, { o: "y" })],
  });
  assert.deepEqual(placed.map((box) => [box.id, box.layer]), [["in", 0], ["s0", 2], ["s1", 1], ["out", 3]]);
  assert.equal(edges.length, 4);
});

test("numbers are short", () => {
  assert.deepEqual([0, 3, 3.14159, 42.25, 1234, 12345, 2.5e9].map(number), ["0", "3", "3.14", "42.3", "1234", "12.3k", "2.5G"]);
  assert.deepEqual([0, 250, 1500, 2.5e6].map(time), ["–", "250 µs", "1.5 ms", "2.5 s"]);
  assert.equal(bytes(1_234_567), "1.23 MB");
});
