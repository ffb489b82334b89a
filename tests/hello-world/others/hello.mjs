// The same function as a bare loop of the Lambda Runtime API in Node.js: the least
// that a function of this language costs, without AWS's own client.
import { Agent, request } from "node:http";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new Agent({ keepAlive: true });

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const options = { agent, host, port, method, path: `/2018-06-01/runtime/${path}` };
    const sent = request(options, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve([response.headers, Buffer.concat(chunks)]));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

for (;;) {
  const [headers, event] = await call("GET", "invocation/next");
  JSON.parse(event);
  const answer = JSON.stringify({ message: "Hello, world!" });
  await call("POST", `invocation/${headers["lambda-runtime-aws-request-id"]}/response`, answer);
}
