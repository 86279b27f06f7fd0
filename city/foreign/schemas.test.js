// The schemas in contracts/ before checkers nobody here wrote.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import Ajv from "ajv";
import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { ask, enrol, note, send } from "./city.js";

const contracts = new URL("../../contracts/", import.meta.url);
const read = (path) => JSON.parse(readFileSync(new URL(path, contracts), "utf8"));
const schemas = readdirSync(contracts, { recursive: true })
  .filter((path) => path.endsWith(".schema.json") && !path.startsWith("released"))
  .sort();

/** A strict checker that knows every payload's schema by its path. */
function checker() {
  const ajv = addFormats(new Ajv2020({ strict: true, strictTypes: false, strictRequired: false, allErrors: true }));
  for (const path of schemas) ajv.addSchema({ ...read(path), $id: path });
  return ajv;
}

test("every schema of a payload compiles, strictly", () => {
  assert.ok(schemas.length > 40);
  const ajv = checker();
  for (const path of schemas) assert.equal(typeof ajv.getSchema(path), "function", path);
});

test("the checker takes the payloads the table says it takes", () => {
  const ajv = checker();
  const { payloads } = JSON.parse(readFileSync(new URL("payloads.json", import.meta.url), "utf8"));
  for (const { type, rule, data, ...wanted } of payloads) {
    const [, topic, kind] = /^(.*)\.([^.]*)$/.exec(type);
    for (const who of ["writer", "reader"]) {
      const took = ajv.validate(`${topic}/${kind}.${who}.schema.json`, data);
      assert.equal(took, wanted[who], `${type}: ${rule}, by the ${who}'s schema`);
    }
  }
});

/** The addresses with the payloads' schemas as components, because the checker follows no reference into a file. */
function addresses() {
  const text = JSON.stringify(read("openapi.json"));
  const name = (path) => path.replaceAll("/", ".").replace(".schema.json", "");
  const whole = JSON.parse(text.replace(/"\.\/([^"]*)"/g, (_, path) => `"#/components/schemas/${name(path)}"`));
  for (const path of schemas) whole.components.schemas[name(path)] = read(path);
  return whole;
}

test("openapi.json is OpenAPI 3.1", async () => {
  const result = await new Validator().validate(addresses());
  assert.ok(result.valid, JSON.stringify(result.errors));
});

test("asyncapi.json is AsyncAPI 3.0", () => {
  const ajv = addFormats(new Ajv({ strict: false, allErrors: true, validateFormats: false }));
  const specs = createRequire(import.meta.url)("@asyncapi/specs/schemas/3.0.0-without-$id.json");
  assert.ok(ajv.validate(specs, read("asyncapi.json")), ajv.errorsText());
  const broken = { ...read("asyncapi.json"), channels: [] };
  assert.ok(!ajv.validate(specs, broken), "and it can fail");
});

test("what the city answers is what openapi.json says", async () => {
  const ajv = checker();
  ajv.addVocabulary(["openapi", "info", "servers", "paths", "components", "security"]);
  ajv.addSchema({ ...read("openapi.json"), $id: "openapi.json" });
  const at = (...names) => names.map((name) => name.replaceAll("~", "~0").replaceAll("/", "~1")).join("/");
  const token = await enrol("ops-1", "ops");
  const mine = note("ops-1");
  assert.ok(ajv.validate("openapi.json#/components/schemas/Event", mine), ajv.errorsText());
  const answers = [["post", "/v1/events", await send(token, mine.id, JSON.stringify(mine))]];
  for (const path of ["/v1/edge", "/v1/feed", "/v1/orders/{key}", "/v1/dead-letters", "/v1/sagas", "/health"]) {
    answers.push(["get", path, await ask("GET", path.replace("{key}", "o-0"), { token })]);
  }
  for (const [method, path, { status, headers, body }] of answers) {
    const kind = headers.get("content-type");
    const place = encodeURI(at("paths", path, method, "responses", `${status}`, "content", kind, "schema"));
    assert.ok(ajv.validate(`openapi.json#/${place}`, body), `${method} ${path}: ${ajv.errorsText()}`);
  }
});
