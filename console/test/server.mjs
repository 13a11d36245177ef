// A server of its own for a test: a repository in a temporary folder, free ports, stopped by its process.
import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const BINARY =
  process.env.HIPPOCAMP_SERVER ?? join(process.env.CARGO_TARGET_DIR ?? join(ROOT, "target"), "release/hippocamp");
const LIBRARY = process.env.HIPPOCAMP_ONNXRUNTIME_LIBRARY ?? join(ROOT, ".cache/onnxruntime/lib/libonnxruntime.so");
/** Where scripts/prepare has put the models. */
const MODELS = process.env.HIPPOCAMP_MODELS ?? join(ROOT, "model_repository");

const BROKEN = `# Which class of animal a picture shows.
name: "animals"
backend: "identity"
max_batch_size: 8

input [
  {
    name: "pixels"
    data_type: TYPE_FLOAT32
    dims: [ 3, 224, 224 ]
  }
]
output [
  { name: "score" data_type: TYPE_FP32 dims: [ 3, 224, 224 ] }
]
`;

export const MENDED = BROKEN.replace("TYPE_FLOAT32", "TYPE_FP32")
  .replace('"pixels"', '"INPUT0"')
  .replace('"score"', '"OUTPUT0"');

export const config = (repository, model) => join(repository, model, "config.pbtxt");

/** Starts a server of the models that examples use, of one that fails, and of one that is slow. */
export async function start(flags = []) {
  const repository = mkdtempSync(join(tmpdir(), "console-"));
  const models = ["detection", "detection-preprocess", "detection-network", "detection-postprocess", "magika", "simple"];
  for (const model of models) {
    if (!existsSync(join(MODELS, model))) throw new Error(`${MODELS}/${model} is missing: run scripts/prepare`);
    cpSync(join(MODELS, model), join(repository, model), { recursive: true });
  }
  for (const version of readEmpty(models)) mkdirSync(join(repository, version), { recursive: true });
  mkdirSync(join(repository, "animals/1"), { recursive: true });
  writeFileSync(config(repository, "animals"), BROKEN);
  const child = spawn(
    BINARY,
    [
      `--model-repository=${repository}`,
      `--backend-config=onnxruntime,library=${LIBRARY}`,
      "--http-address=127.0.0.1",
      "--http-port=0",
      "--grpc-port=0",
      "--metrics-port=0",
      "--model-control-mode=explicit",
      "--load-model=*",
      "--exit-on-error=false",
      ...flags,
    ],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let log = "";
  const ports = {};
  const stop = async () => {
    const ended = new Promise((done) => child.once("exit", done));
    if (child.exitCode === null) {
      child.kill("SIGTERM");
      await ended;
    }
    rmSync(repository, { recursive: true, force: true });
  };
  await new Promise((ready, failed) => {
    const heard = (data) => {
      log += data;
      for (const [, what, port] of log.matchAll(/(HTTP|metrics|console) on [^\s]*:(\d+)/g)) ports[what] = port;
      if (/\bready\b.*versions|versions=.*ready|\bready\b/.test(log.split("\n").slice(-3).join("\n"))) ready();
    };
    child.stdout.on("data", heard);
    child.stderr.on("data", heard);
    child.once("exit", (code) => failed(new Error(`the server ended with ${code}:\n${log}`)));
    child.once("error", failed);
  });
  const at = (what) => `http://127.0.0.1:${ports[what]}`;
  return { repository, page: at(ports.console ? "console" : "metrics"), http: at("HTTP"), metrics: at("metrics"), stop, log: () => log };
}

/** Version folders that hold nothing, which git does not keep: of ensembles. */
const readEmpty = (models) => models.map((model) => `${model}/1`);
