// An MCP server over stdio: the tools that the conformance suite calls by name, and tools that misbehave.
// A file named by its first argument is the description of `test_described`, read anew whenever tools are listed.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
const wav = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=";
const nothing = { type: "object", properties: {} };
const text = (text) => ({ type: "text", text });
const image = { type: "image", data: png, mimeType: "image/png" };
const resource = (uri, mimeType, text) => ({ type: "resource", resource: { uri, mimeType, text } });
const described = () => (process.argv[2] ? readFileSync(process.argv[2], "utf8") : "Says what it is");

const keywords = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  $defs: {
    address: {
      $anchor: "addressDef",
      type: "object",
      properties: { street: { type: "string" }, city: { type: "string" } },
    },
  },
  properties: {
    name: { type: "string" },
    address: { $ref: "#/$defs/address" },
    contactMethod: { type: "string", enum: ["phone", "email"] },
    phone: { type: "string" },
    email: { type: "string" },
  },
  allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
  if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
  then: { required: ["phone"] },
  else: { required: ["email"] },
  additionalProperties: false,
};
const mirrored = { type: "object", properties: { region: { type: "string", "x-mcp-header": "Region" } } };

const tools = {
  test_simple_text: ["Answers with a text", nothing, () => [text("This is a simple text response for testing.")]],
  test_image_content: ["Answers with an image", nothing, () => [image]],
  test_audio_content: ["Answers with a sound", nothing, () => [{ type: "audio", data: wav, mimeType: "audio/wav" }]],
  test_embedded_resource: ["Answers with a resource", nothing, () => [resource("test://one", "text/plain", "one")]],
  test_multiple_content_types: [
    "Answers with several kinds of content",
    nothing,
    () => [text("several"), image, resource("test://two", "application/json", "{}")],
  ],
  test_error_handling: ["Always fails", nothing, () => { throw new Error("this tool always fails"); }],
  json_schema_2020_12_tool: ["Has a schema with many keywords", keywords, () => [text("ok")]],
  test_mirrored: ["Takes an argument that is mirrored into a header", mirrored, () => [text("ok")]],
  test_environment: ["Tells its environment", nothing, () => [text(JSON.stringify(process.env))]],
  test_large: ["Answers with two million bytes", nothing, () => [text("x".repeat(2_000_000))]],
  test_hang: ["Never answers", nothing, () => undefined],
  test_process: ["Tells its process", nothing, () => [text(String(process.pid))]],
  test_described: [described, nothing, () => [text("as it was registered")]],
};

const answers = {
  initialize: ({ protocolVersion }) => ({
    protocolVersion,
    capabilities: { tools: {} },
    serverInfo: { name: "misbehaving", version: "1" },
  }),
  "tools/list": () => ({
    tools: Object.entries(tools).map(([name, [said, inputSchema]]) => {
      return { name, description: typeof said === "function" ? said() : said, inputSchema };
    }),
  }),
  "tools/call": ({ name }) => {
    try {
      const content = tools[name][2]();
      return content && { content };
    } catch (error) {
      return { content: [text(error.message)], isError: true };
    }
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) continue;
  const result = answers[method]?.(params ?? {});
  const error = { code: -32601, message: `no method ${method}` };
  if (result) console.log(JSON.stringify({ jsonrpc: "2.0", id, result }));
  else if (!answers[method]) console.log(JSON.stringify({ jsonrpc: "2.0", id, error }));
}
