// Parses LogQL: a JSON array of queries on standard input; what is wrong with which of them on standard output.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

// The parser lies where this is told, not beside this file.
const { parser } = await import(createRequire(process.argv[2]).resolve("@grafana/lezer-logql"));

const wrong = [];
for (const query of JSON.parse(readFileSync(0, "utf8"))) {
  parser.parse(query).iterate({
    enter(node) {
      if (node.type.isError) wrong.push({ query, at: node.from, near: query.slice(Math.max(0, node.from - 10), node.to + 10) });
    },
  });
}
console.log(JSON.stringify(wrong));
