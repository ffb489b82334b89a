"""A deployed stack: what it is made of, and its functions."""

import importlib.resources
import json
import os
from urllib.parse import urlsplit

import boto3
import urllib3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError
from urllib3.exceptions import HTTPError

from .problem import Problem

# Longer than any function runs for a person. An invocation is not repeated.
PATIENT = Config(read_timeout=150, retries={"total_max_attempts": 1})


def certificates():
    return str(importlib.resources.files("botocore") / "cacert.pem")


def default_region():
    # The AWS SDK for Python knows AWS_DEFAULT_REGION only.
    return os.environ.get("AWS_REGION") or boto3.session.Session().region_name


class Stack:
    def __init__(self, name, region):
        self.name = name
        self.region = region
        try:
            self.session = boto3.session.Session(region_name=region)
            self.cloudformation = self.session.client("cloudformation")
            self.functions = self.session.client("lambda", config=PATIENT)
            (found,) = self.cloudformation.describe_stacks(StackName=name)["Stacks"]
            self.physical_ids = self._physical_ids()
        except NoCredentialsError:
            raise Problem(
                "There are no AWS credentials. Sign in first, for example by `aws configure` or `aws sso login`."
            ) from None
        except ClientError as error:
            if "does not exist" in str(error):
                raise Problem(
                    f"There is no stack {name} in {region}. Give the name and the region that you deployed with."
                ) from None
            raise Problem(f"AWS refuses: {error}") from None
        except (BotoCoreError, NoRegionError) as error:
            raise Problem(f"AWS cannot be reached: {error}") from None
        self.arn = found["StackId"]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}
        self.parameters = {
            parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in found.get("Parameters", [])
        }
        if "WebhookUrl" not in self.outputs:
            raise Problem(f"The stack {name} in {region} is not one of sesamy-crm-sync: it has no output WebhookUrl.")

    def _physical_ids(self):
        pages = self.cloudformation.get_paginator("list_stack_resources").paginate(StackName=self.name)
        return {
            resource["LogicalResourceId"]: resource.get("PhysicalResourceId")
            for page in pages
            for resource in page["StackResourceSummaries"]
        }

    @property
    def account(self):
        return self.arn.split(":")[4]

    @property
    def secret_prefix(self):
        return self.parameters["SecretPrefix"]

    @property
    def secrets_key_arn(self):
        """The key of one's own that encrypts the secrets, or an empty text."""
        return self.parameters.get("SecretsKeyArn", "")

    def resynced_per_minute(self, connectors):
        """Users that a resync of all of a vendor's users queues in a minute: four fifths of
        Sesamy's limit, with four requests for each user and connector (docs/operate.md)."""
        return int(self.parameters["SesamyRequestsPerMinute"]) * 0.8 / 4 / connectors

    @property
    def is_local(self):
        """Whether AWS itself is on this machine, as for tests and `make local`."""
        host = urlsplit(self.cloudformation.meta.endpoint_url).hostname
        return host in ("localhost", "127.0.0.1")

    @property
    def webhook_url(self):
        url = self.outputs["WebhookUrl"]
        if not self.is_local:
            return url
        # The local AWS answers for the API's host at its own address.
        told, local = urlsplit(url), urlsplit(self.cloudformation.meta.endpoint_url)
        api = told.hostname.split(".")[0]
        return f"{local.scheme}://{api}.execute-api.localhost:{local.port}{told.path}"

    def client(self, service):
        return self.session.client(service)

    def post(self, body, token):
        """Posts to the webhook; the answer's status and body."""
        url, headers = self.webhook_url, {"Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if self.is_local:
            # Not every machine resolves names under localhost, so only the header has it.
            parts = urlsplit(url)
            headers["Host"] = parts.netloc
            url = self.cloudformation.meta.endpoint_url.rstrip("/") + parts.path
        pool = urllib3.PoolManager(ca_certs=os.environ.get("AWS_CA_BUNDLE") or certificates())
        try:
            answer = pool.request("POST", url, body=body.encode(), headers=headers, timeout=35, retries=False)
        except HTTPError as error:
            raise Problem(f"{self.webhook_url} cannot be reached: {error}") from None
        return answer.status, answer.data.decode()

    def logged(self, log_group, event_id, since):
        """The lines of a connector's log about the sync of an event, since milliseconds of the epoch."""
        pages = self.client("logs").get_paginator("filter_log_events").paginate(
            logGroupName=log_group, filterPattern=f'"A sync ended" "{event_id}"', startTime=since
        )
        return [event["message"] for page in pages for event in page["events"]]

    def invoke(self, logical_id, event):
        """A function's answer. One that fails is a Problem."""
        try:
            answer = self.functions.invoke(FunctionName=self.physical_ids[logical_id], Payload=json.dumps(event))
        except (ClientError, BotoCoreError) as error:
            raise Problem(f"{logical_id} could not be invoked: {error}") from None
        content = json.loads(answer["Payload"].read() or b"null")
        if "FunctionError" in answer:
            reason = content.get("errorMessage") if isinstance(content, dict) else None
            raise Problem(f"{logical_id} failed: {reason or 'its log says why'}")
        return content
