// Prints what AsyncAPI's own parser finds in each document: severity (0 is an error), code, path.
import { Parser, fromFile } from "@asyncapi/parser";

const parser = new Parser();
const answers = [];
for (const file of process.argv.slice(2)) {
  const { document, diagnostics } = await fromFile(parser, file).parse();
  const found = diagnostics.map(({ severity, code, path }) => ({ severity, code, path }));
  const channels = document ? document.channels().all().map((channel) => channel.address()) : null;
  answers.push({ found, channels });
}
console.log(JSON.stringify(answers));
