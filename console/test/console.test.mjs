// The console in Chromium, on a real server: looking, a failing model, trying, controlling, by mouse and by keyboard.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { MENDED, ROOT, config, start } from "./server.mjs";

/** Where pictures of the page go, if they are wanted. */
const PICTURES = process.env.CONSOLE_PICTURES;
const LIMIT = 200_000;

let server, browser;

before(async () => {
  server = await start();
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox"],
  });
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** A page that fails its test if the browser complains, or if anything is asked of another server. */
async function open(address, options = {}) {
  const page = await browser.newPage({ viewport: { width: 1240, height: 860 }, ...options });
  const complaints = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(server.page) && !/^(data|blob):/.test(url) && !options.elsewhere) complaints.push(`asks ${url}`);
  });
  await page.goto(address);
  return { page, complaints };
}

const picture = async (page, name) => {
  if (!PICTURES) return;
  mkdirSync(PICTURES, { recursive: true });
  await page.screenshot({ path: join(PICTURES, `${name}.png`) });
};

test("all models are there, the failing one first, with its reason", async () => {
  const { page, complaints } = await open(server.page);
  const rows = page.locator(".models tbody tr");
  await rows.first().waitFor();
  assert.equal(await rows.count(), 7);
  assert.match(await rows.first().innerText(), /animals\s+faulty config/);
  assert.match(await rows.first().innerText(), /TYPE_FLOAT32/);
  await page.getByText("not ready", { exact: true }).waitFor();
  assert.deepEqual(complaints, []);
  await page.close();
});

test("the page is small, and asks nothing while nobody looks", async () => {
  const page = await browser.newPage();
  let size = 0;
  page.on("response", async (response) => {
    if (/console\.(js|css)$|\/$/.test(response.url())) size += (await response.body()).length;
  });
  await page.goto(server.page);
  await page.locator(".models").waitFor();
  assert.ok(size > 10_000 && size < LIMIT, `${size} bytes`);
  // A page that is not seen stops asking.
  await page.evaluate(() => {
    Object.defineProperty(document, "hidden", { value: true, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await page.waitForTimeout(3500);
  let asked = 0;
  page.on("request", () => (asked += 1));
  await page.waitForTimeout(3500);
  assert.equal(asked, 0);
  await page.evaluate(() => {
    Object.defineProperty(document, "hidden", { value: false, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await page.waitForRequest(/console\/state/);
  await page.close();
});

test("a model is found and opened by the keyboard", async () => {
  const { page, complaints } = await open(server.page);
  await page.locator(".models").waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("magi");
  assert.equal(await page.locator(".models tbody tr").count(), 1);
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.locator("h1", { hasText: "magika" }).waitFor();
  await page.getByRole("tab", { name: "Traffic" }).focus();
  await page.keyboard.press("ArrowRight");
  await page.locator(".try").waitFor();
  assert.equal(await page.getByRole("tab", { name: "Try it" }).getAttribute("aria-selected"), "true");
  assert.deepEqual(complaints, []);
  await page.close();
});

test("the line of a fault is marked, and the mended model is loaded", async () => {
  const { page, complaints } = await open(server.page);
  await page.getByRole("link", { name: "animals" }).click();
  const marked = page.locator(".line.bad");
  await marked.waitFor();
  assert.match(await marked.innerText(), /9\s*data_type: TYPE_FLOAT32/);
  assert.match(await marked.locator(".note").innerText(), /FLOAT32/);
  await picture(page, "failing");
  writeFileSync(config(server.repository, "animals"), MENDED);
  await page.getByRole("button", { name: "Load", exact: true }).click();
  await page.locator("h1 .badge.good").waitFor();
  assert.equal(await page.locator(".line.bad").count(), 0);

  await page.getByRole("button", { name: "Unload" }).click();
  await page.getByRole("button", { name: "Yes, unload" }).click();
  await page.locator("h1 .badge", { hasText: "not loaded" }).waitFor();
  await page.getByRole("button", { name: "Load", exact: true }).click();
  await page.locator("h1 .badge.good").waitFor();
  assert.deepEqual(complaints, []);
  await page.close();
});

test("JSON is sent, and tensors come back", async () => {
  const { page } = await open(`${server.page}/#/model/simple/try`);
  const fields = page.locator("fieldset textarea");
  await fields.first().waitFor();
  const ones = JSON.stringify([Array.from({ length: 16 }, (_, n) => n)]);
  await fields.nth(0).fill(ones);
  await fields.nth(1).fill(ones);
  await fields.nth(1).press("Control+Enter");
  const sum = page.locator(".tensor", { hasText: "OUTPUT0" });
  await sum.waitFor();
  assert.match(await sum.innerText(), /0\s+2\s+4\s+6\s+8/);
  assert.match(await sum.innerText(), /from 0 to 30, mean 15/);
  await fields.nth(0).fill("[[1, 2]]");
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByRole("alert").filter({ hasText: "INPUT0" }).waitFor();
  await fields.nth(0).fill("[[1, ");
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByRole("alert").filter({ hasText: "JSON" }).waitFor();
  await page.close();
});

test("what is found in a picture is drawn on it, and the graph has the times of the steps", async () => {
  const { page, complaints } = await open(`${server.page}/#/model/detection/try`);
  await page.locator('input[type="file"]').setInputFiles(join(ROOT, "tests/references/images/astronaut.png"));
  await page.getByRole("button", { name: "Send" }).click();
  const canvas = page.getByRole("img", { name: "The picture with 1 boxes" });
  await canvas.waitFor();
  const drawn = await canvas.evaluate((node) => {
    const { data } = node.getContext("2d").getImageData(0, 0, node.width, node.height);
    let strokes = 0;
    for (let at = 0; at < data.length; at += 4) strokes += data[at] < 60 && data[at + 1] > 180 && data[at + 2] > 130;
    return [node.width, node.height, strokes];
  });
  assert.deepEqual(drawn.slice(0, 2), [512, 512]);
  assert.ok(drawn[2] > 200, `${drawn[2]} pixels of the box's colour`);
  await picture(page, "picture");

  await page.getByRole("tab", { name: "Graph" }).click();
  const steps = page.locator(".graph .step");
  await steps.first().waitFor();
  assert.equal(await steps.count(), 3);
  await page.getByText(/^\d+(\.\d+)? %$/).first().waitFor({ timeout: 20_000 });
  const shares = await page.locator(".graph .step .muted[text-anchor=end]").allTextContents();
  const sum = shares.reduce((all, text) => all + Number.parseFloat(text), 0);
  assert.ok(Math.abs(sum - 100) < 3, `${shares}`);
  await picture(page, "graph");
  assert.deepEqual(complaints, []);
  await page.close();
});

test("traffic is counted", async () => {
  const body = JSON.stringify({
    inputs: ["INPUT0", "INPUT1"].map((name) => ({ name, shape: [1, 16], datatype: "INT32", data: Array(16).fill(1) })),
  });
  for (let n = 0; n < 50; n += 1) {
    const answer = await fetch(`${server.http}/v2/models/simple/infer`, { method: "POST", body });
    assert.equal(answer.status, 200);
  }
  const { page } = await open(`${server.page}/#/model/simple/traffic`);
  const bars = page.locator(".bars .meter");
  await bars.first().waitFor({ timeout: 20_000 });
  let samples, all;
  for (let tries = 0; tries < 20 && !(all >= 51); tries += 1) {
    await page.waitForTimeout(500);
    ({ samples } = await (await fetch(`${server.page}/console/history?model=simple`)).json());
    all = samples.reduce((sum, sample) => sum + (sample.succeeded ?? 0), 0);
  }
  assert.equal(all, 51, "those of this test, and one of the page");
  const batches = samples.flatMap((sample) => sample.batches ?? []);
  assert.equal(batches.reduce((sum, [size, count]) => sum + size * count, 0), 51);
  await page.close();
});

test("a phone needs no second direction, in dark and in light", async () => {
  for (const colorScheme of ["dark", "light"]) {
    const options = { viewport: { width: 390, height: 800 }, colorScheme, hasTouch: true, isMobile: true };
    for (const path of ["", "#/model/detection/traffic", "#/model/detection/graph", "#/model/detection/config", "#/model/simple/try"]) {
      const { page, complaints } = await open(`${server.page}/${path}`, options);
      await page.locator("h1").waitFor();
      await page.waitForTimeout(300);
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= 390, `${path} is ${width} wide`);
      const [text, back] = await page.evaluate(() => {
        const style = getComputedStyle(document.body);
        return [style.color, style.backgroundColor].map((colour) => Number(colour.match(/\d+/)[0]));
      });
      assert.equal(text > back, colorScheme === "dark");
      if (colorScheme === "dark" && path === "") await picture(page, "phone");
      assert.deepEqual(complaints, []);
      await page.close();
    }
  }
});

test("roles decide what is seen and what can be done", async () => {
  const file = join(server.repository, "tokens.toml");
  const sha = (token) => createHash("sha256").update(token).digest("hex");
  writeFileSync(
    file,
    `[[tokens]]\nname = "viewer"\ntoken_sha256 = "${sha("look")}"\nread = ["simple", "detection"]\n
     [[tokens]]\nname = "operator"\ntoken_sha256 = "${sha("run")}"\nread = ["*"]\ninfer = ["*"]\nadmin = ["*"]\n`,
  );
  const other = await start([`--auth-config=${file}`]);
  try {
    assert.equal((await fetch(`${other.page}/console/state`)).status, 401);
    const page = await browser.newPage();
    await page.goto(other.page);
    await page.getByRole("textbox", { name: "Token" }).fill("look");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.locator(".models").waitFor();
    assert.deepEqual(await page.locator(".models a.name").allInnerTexts(), ["detection", "simple"]);
    await page.goto(`${other.page}/#/model/simple/try`);
    await page.getByText("no role 'infer'").waitFor();
    assert.equal(await page.getByRole("button", { name: "Unload" }).count(), 0);
    const secret = await fetch(`${other.page}/console/model?model=magika`, { headers: { authorization: "Bearer look" } });
    assert.equal(secret.status, 404);
    await page.getByRole("textbox", { name: "Token" }).fill("run");
    await page.getByRole("button", { name: "Change" }).click();
    await page.getByRole("button", { name: "Unload" }).waitFor();
    await page.close();
  } finally {
    await other.stop();
  }
});

test("it can be off, on a port of its own, and without hands", async () => {
  const off = await start(["--allow-console=false"]);
  const page = await (await fetch(`${off.metrics}/`)).text();
  const state = await (await fetch(`${off.metrics}/console/state`)).text();
  await off.stop();
  assert.deepEqual([page, state], ["", ""]);
  const own = await start(["--console-port=0", "--allow-metrics=false"]);
  const { server: about } = await (await fetch(`${own.page}/console/state`)).json();
  const foreign = await fetch(`${own.page}/v2/models/simple/infer`, {
    method: "POST",
    headers: { "sec-fetch-site": "cross-site" },
    body: "{}",
  });
  await own.stop();
  assert.deepEqual([about.acts, foreign.status], [true, 403]);
  const hidden = await start(["--allow-http=false", "--http-address=0.0.0.0", "--metrics-address=0.0.0.0"]);
  const nothing = await (await fetch(`${hidden.metrics}/console/state`)).text();
  await hidden.stop();
  assert.equal(nothing, "");
  const bound = await start(["--allow-http=false", "--allow-console=true"]);
  const tied = await (await fetch(`${bound.page}/console/state`)).json();
  const gone = await fetch(`${bound.page}/v2/models/simple/infer`, { method: "POST", body: "{}" });
  await bound.stop();
  assert.equal(tied.server.acts, false);
  assert.notEqual(gone.status, 200);
});
