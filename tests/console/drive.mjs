// Walks through the console as a person does, in a real browser, and looks at every page for what some could not use.
// Settings come as JSON on the standard input; what was seen goes out the same way.
import { createRequire } from "node:module";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import assert from "node:assert/strict";

const settings = JSON.parse(readFileSync(0, "utf8"));
const { url, packages, chromium: executablePath, pictures, tokens, run, second } = settings;
const require = createRequire(join(packages, "package.json"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const PATIENCE = 30_000;
if (pictures) mkdirSync(pictures, { recursive: true });

const browser = await chromium.launch({ executablePath, args: ["--disable-dev-shm-usage"] });
const faults = [];
let expected = 0;
const seen = { pages: 0, checks: 0, requests: 0 };

// A page that tells of every error and of every request to anywhere else.
async function opened(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.on("pageerror", (error) => faults.push(`script: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() !== "error" && message.type() !== "warning") return;
    // A page that is asked for although it is refused says so in the console of the browser.
    if (/status of 4\d\d/.test(message.text()) && expected > 0) expected -= 1;
    else faults.push(`console: ${message.text()} (${message.location().url})`);
  });
  page.on("request", (request) => {
    seen.requests += 1;
    if (new URL(request.url()).origin !== new URL(url).origin) faults.push(`request to ${request.url()}`);
    if (request.url().includes(tokens.bob)) faults.push(`the token is in an address: ${request.url()}`);
  });
  return page;
}

async function signIn(page, token) {
  await page.fill("#token", token);
  await page.click("main button[type=submit]");
}

// Faults that are serious or worse to some people.
async function violations(page) {
  const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  return found.violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
}

const marked = (page) => page.evaluate(() => { window.untouched = true; });
const untouched = (page) => page.evaluate(() => window.untouched === true);

// Signing in, and what is said where it fails.
const page = await opened();
await page.goto(`${url}/console/runs?status=running`);
assert.match(page.url(), /\/console\/sign-in\?next=/);
expected += 1;
await signIn(page, "no token");
await page.waitForSelector("[role=alert]");
assert.match(await page.textContent("[role=alert]"), /does not have three parts/);
await signIn(page, tokens.bob);
await page.waitForURL("**/console/runs?status=running");
const cookies = await page.context().cookies();
assert.deepEqual(cookies.map(({ httpOnly, sameSite, path }) => ({ httpOnly, sameSite, path })),
  [{ httpOnly: true, sameSite: "Strict", path: "/console" }]);
assert.ok(!(await page.content()).includes(tokens.bob));

// The refused call of the sample run, through the pages, by the keyboard where there is a key.
await page.goto(`${url}/console`);
await page.keyboard.press("/");
assert.equal(await page.evaluate(() => document.activeElement.id), "filter-text");
await page.keyboard.type("review this folder");
await page.keyboard.press("Enter");
await page.waitForURL("**text=review**");
await page.click(`#${run} a`);
await page.waitForURL(`**/console/runs/${run}`);
const denied = page.locator("#timeline li", { has: page.locator(".mark", { hasText: "denied" }) });
assert.equal(await denied.count(), 3);
const passwd = denied.filter({ hasText: "passwd" });
assert.match(await passwd.textContent(), /path_outside_workspace/);
await passwd.getByText("The exact input").click();
assert.match(await passwd.locator("details[open] pre").first().textContent(), /\/etc\/passwd/);

// Back in time and forth, without a reload, by key, by link and by the slider; and the same without any script.
await marked(page);
const number = Number((await passwd.getAttribute("id")).slice(1));
await passwd.locator("a.sequence").click();
await page.waitForFunction((n) => document.querySelector("#moment-title").textContent.startsWith(`Event ${n} of`), number);
assert.equal(new URL(page.url()).searchParams.get("at"), String(number));
assert.match(await page.textContent("#moment .this"), /denied/);
assert.ok(await passwd.locator("details[open] pre").count() > 0, "what was opened stays open");
await page.locator("#moment h2").click();
await page.keyboard.press("k");
await page.waitForFunction((n) => document.querySelector("#moment-title").textContent.startsWith(`Event ${n} of`), number - 1);
await page.locator("#at").fill("2");
await page.waitForFunction(() => document.querySelector("#moment .changes li") && document.querySelector("#moment .this").textContent.includes("sets out"));
assert.ok(await untouched(page));
const plain = await opened({ javaScriptEnabled: false, storageState: await page.context().storageState() });
await plain.goto(`${url}/console/runs/${run}?at=${number}`);
await plain.click("text=← Before");
assert.match(await plain.textContent("#moment-title"), new RegExp(`^Event ${number - 1} of`));
await plain.context().close();

// The decision, on its own page.
await page.goto(`${url}/console/decisions?decision=deny&tool=read_file`);
await page.click("tbody tr:has-text('path_outside_workspace') a.id >> nth=0");
await page.waitForURL("**/console/decisions/dec_*");
const decision = page.url();
assert.match(await page.textContent("main"), /The exact input/);

// Granting in one window, while another follows the run to its end.
const other = await opened({ storageState: await page.context().storageState() });
await other.goto(`${url}/console/runs/${run}`);
await other.waitForSelector("[data-live-state][data-state=on]");
await marked(other);
const before = await other.locator("#timeline > li").count();
await page.goto(`${url}/console/approvals`);
const waits = page.locator("#approvals > li", { has: page.locator(`a[href="/console/runs/${run}"]`) });
assert.match(await waits.textContent(), /write_file/);
await waits.getByRole("button", { name: "Grant" }).click();
await page.waitForSelector("[role=status]:has-text('The call was granted')");
await other.waitForSelector("#live:has-text('The run has ended.')");
await other.waitForSelector("#run-head .mark:has-text('completed')");
assert.ok(await untouched(other), "the page was not loaded anew");
assert.ok(await other.locator("#timeline > li").count() > before);
assert.equal(await other.locator("#timeline > li", { hasText: "bob approved" }).count(), 1);
await other.context().close();

// Somebody answers for their own run: the law's reasons are shown, with the decision.
const alice = await opened();
await alice.goto(`${url}/console/runs/${second}`);
await signIn(alice, tokens.alice);
await alice.waitForURL(`**/console/runs/${second}`);
expected += 1;
await alice.click("#waiting button:has-text('Grant')");
await alice.waitForSelector("[role=alert]");
assert.match(await alice.textContent("main"), /self_approval[\s\S]*dec_/);
await alice.context().close();

// Every page, light and dark, wide and narrow.
await page.goto(`${url}/console/what-if`);
const report = await page.getAttribute("tbody a", "href");
const places = [
  ["sign-in", `${url}/console/sign-in`], ["runs", `${url}/console/runs`], ["run", `${url}/console/runs/${run}?at=${number}`],
  ["waiting", `${url}/console/runs/${second}`], ["decisions", `${url}/console/decisions?decision=deny`], ["decision", decision],
  ["approvals", `${url}/console/approvals`], ["what-if", `${url}/console/what-if`], ["report", `${url}${report}`],
  ["ledger", `${url}/console/ledger?position=7`], ["missing", `${url}/console/runs/run_00000000000000000000000000000000`],
];
const state = await page.context().storageState();
// What looks for faults finds one that is there.
await page.evaluate(axe);
await page.evaluate(() => document.querySelector("main").append(document.createElement("input")));
assert.ok((await violations(page)).some(({ id }) => id === "label"));
await page.context().close();

const words = ({ impact, id, help, nodes }) =>
  `${impact} ${id}: ${help}: ${nodes.slice(0, 3).map((node) => `${node.html.slice(0, 200)} ${node.any[0]?.message ?? ""}`).join(" | ")}`;

async function look(colorScheme, [size, width, height]) {
  const looked = await opened({ colorScheme, viewport: { width, height }, storageState: state, hasTouch: size === "phone" });
  for (const [name, address] of places) {
    expected += name === "missing" ? 1 : 0;
    await looked.goto(address);
    await looked.waitForSelector("h1");
    const beyond = await looked.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (beyond > 0) faults.push(`${name} is ${beyond} px wider than ${width}`);
    await looked.evaluate(axe);
    for (const fault of (await violations(looked)).map(words)) faults.push(`${name}, ${colorScheme}, ${size}: ${fault}`);
    seen.checks += 1;
    if (pictures) await looked.screenshot({ path: join(pictures, `${name}-${colorScheme}-${size}.png`) });
  }
  await looked.context().close();
}
for (const size of [["desktop", 1280, 800], ["phone", 390, 844]]) {
  await Promise.all(["light", "dark"].map((colorScheme) => look(colorScheme, size)));
}
seen.pages = places.length;
await browser.close();
process.stdout.write(JSON.stringify({ faults, seen, unmet: expected }));
