// Makes S3 calls with a JavaScript SDK on request: `node driver.mjs CLIENT`.
//
// Reads one JSON object per line on stdin, `{"call": NAME, …}`, and answers each with one JSON line on stdout:
// `{"result": …}`, `{"error": "NAME: message"}` or `{"unsupported": true}`. Ends at the end of input.
// The store comes from SDK_ENDPOINT, SDK_ACCESS_KEY_ID, SDK_SECRET_ACCESS_KEY and SDK_REGION; Node itself trusts the
// CA in NODE_EXTRA_CA_CERTS, so SDK_CA is not read here.

import { createInterface } from "node:readline";

const CLIENTS = { "aws-js": "./aws_v3.mjs", "minio-js": "./minio_js.mjs" };
const LONGEST_ERROR = 300;

const { SDK_ENDPOINT, SDK_ACCESS_KEY_ID, SDK_SECRET_ACCESS_KEY, SDK_REGION } = process.env;

function describe(error) {
  // A system error and minio's S3Error carry what went wrong in `code`; the AWS SDK has it in `name`.
  const text = `${error.code || error.name}: ${error.message}`.replaceAll(SDK_SECRET_ACCESS_KEY, "[secret]");
  return [...text.replaceAll(/\s+/g, " ")].slice(0, LONGEST_ERROR).join("");
}

async function answer(calls, line) {
  try {
    const { call, ...request } = JSON.parse(line);
    if (!Object.hasOwn(calls, call)) return { unsupported: true };
    return { result: (await calls[call](request)) ?? null };
  } catch (error) {
    return { error: describe(error) };
  }
}

const module = CLIENTS[process.argv[2]];
if (!module || !SDK_ENDPOINT || !SDK_ACCESS_KEY_ID || !SDK_SECRET_ACCESS_KEY || !SDK_REGION) {
  console.error(`usage: node driver.mjs ${Object.keys(CLIENTS).join("|")}, with SDK_ENDPOINT, SDK_ACCESS_KEY_ID,`);
  console.error("SDK_SECRET_ACCESS_KEY and SDK_REGION in the environment");
  process.exit(2);
}

const { connect } = await import(module);
const calls = connect({
  endpoint: SDK_ENDPOINT,
  accessKeyId: SDK_ACCESS_KEY_ID,
  secretAccessKey: SDK_SECRET_ACCESS_KEY,
  region: SDK_REGION,
});

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(await answer(calls, line)) + "\n");
}
process.exit(0); // a connection left over from a failed call must not keep the driver alive
