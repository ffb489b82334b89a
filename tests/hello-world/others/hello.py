# The same function as a bare loop of the Lambda Runtime API in Python: the least that
# a function of this language costs, without AWS's own client.
import json
import os
from http.client import HTTPConnection

connection = HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])


def call(method, path, body=None):
    connection.request(method, f"/2018-06-01/runtime/{path}", body)
    response = connection.getresponse()
    return response.headers, response.read()


while True:
    headers, event = call("GET", "invocation/next")
    json.loads(event)
    answer = json.dumps({"message": "Hello, world!"})
    call("POST", f"invocation/{headers['Lambda-Runtime-Aws-Request-Id']}/response", answer)
