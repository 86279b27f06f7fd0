import assert from "node:assert/strict";
import { Gate, Till } from "./screens.js";
import { scenario } from "./world.js";

scenario("each page can be installed, under its Chinese name and with icons of its own", async ({ city, phone }) => {
  for (const screen of [await Till.open(phone, city, "stall-i1"), await Gate.open(phone, city, "gate-i1")]) {
    await screen.look();
    await screen.shellKept();
    const chrome = await phone.context.newCDPSession(screen.page);
    const { installabilityErrors } = await chrome.send("Page.getInstallabilityErrors");
    assert.deepEqual(installabilityErrors, []);
    const { errors, url, data } = await chrome.send("Page.getAppManifest");
    assert.deepEqual(errors, []);
    const manifest = JSON.parse(data ?? "{}");
    assert.match(manifest.name, /^蒼螺夜市 /);
    assert.equal(manifest.lang, "zh-Hant");
    assert.equal(manifest.display, "standalone");
    // An id is meant from the origin, so "./" would be one for all pages.
    assert.equal(manifest.id, new URL("./", screen.page.url()).pathname);
    for (const place of ["start_url", "scope"]) {
      assert.equal(new URL(manifest[place], url).pathname, new URL("./", screen.page.url()).pathname, place);
    }
    const ground = await screen.page.evaluate(() =>
      getComputedStyle(document.documentElement).getPropertyValue("--ground").trim(),
    );
    assert.deepEqual([manifest.theme_color, manifest.background_color], [ground, ground]);
    for (const [sizes, purpose] of [
      ["192x192", "any"],
      ["512x512", "any"],
      ["512x512", "maskable"],
    ]) {
      const icon = manifest.icons.find(
        (one: { sizes: string; purpose: string }) => one.sizes === sizes && one.purpose === purpose,
      );
      assert.ok(icon, `${sizes} ${purpose}`);
      const drawn = await screen.page.evaluate(async (address) => {
        const picture = await createImageBitmap(await (await fetch(address)).blob());
        return `${picture.width}x${picture.height}`;
      }, new URL(icon.src, url).href);
      assert.equal(drawn, sizes);
    }
  }
});

/** A budget of 150 kB, the decoder of pictures beside it. */
const FIRST_LOAD_BYTES_MAX = 150_000;

scenario("the first load of each page travels packed and within its budget", async ({ city, phone }) => {
  for (const screen of [await Till.open(phone, city, "stall-i2"), await Gate.before(phone, city, "gate-i2")]) {
    const files = await screen.page.evaluate(() =>
      (performance.getEntries() as PerformanceResourceTiming[])
        .filter(({ entryType }) => entryType === "navigation" || entryType === "resource")
        // What comes later may come from the page's worker already, which has it unpacked.
        .filter(({ workerStart }) => workerStart === 0)
        .map(({ name, encodedBodySize, decodedBodySize }) => ({
          path: new URL(name).pathname,
          travelled: encodedBodySize,
          bytes: decodedBodySize,
        }))
        .filter(({ path }) => /(\/|js|css|wasm)$/.test(path) && !/\/(decoder|zxing)/.test(path)),
    );
    const kinds = files.map(({ path }) => path.split(".").pop());
    for (const kind of ["wasm", "js", "css"]) assert.ok(kinds.includes(kind), `${kind} among ${kinds}`);
    for (const { path, travelled, bytes } of files) assert.ok(travelled < bytes, `${path}: ${travelled} of ${bytes}`);
    const sum = files.reduce((total, { travelled }) => total + travelled, 0);
    assert.ok(sum <= FIRST_LOAD_BYTES_MAX, `${sum} bytes: ${JSON.stringify(files)}`);
  }
});
