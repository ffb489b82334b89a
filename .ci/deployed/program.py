"""What the programs for a publisher have in common: arguments, the stack, how they end."""

import argparse
import sys

from .dialogue import Dialogue
from .problem import Problem
from .secret_store import SecretStore
from .stack import Stack, default_region
from .vendor_secrets import vendor_id_fault


def main(description, program):
    """Runs a program; what goes wrong is told in words."""
    parser = argparse.ArgumentParser(description=description)
    for name in ("stack", "region", "vendor"):
        parser.add_argument(f"--{name}", default="", help="asked for if it is not given")
    given = parser.parse_args()
    dialogue = Dialogue()
    try:
        program(dialogue, *opened(dialogue, given)).run()
    except Problem as problem:
        sys.exit(f"\n{problem}")
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. What was stored so far stays; run this again to go on.")


def opened(dialogue, given):
    """The stack, its secrets and the vendor."""
    name = given.stack or dialogue.ask("Stack", default="sesamy-crm-sync")
    region = given.region or dialogue.ask("Region", default=default_region())
    stack = Stack(name, region)
    dialogue.say(f"Account {stack.account}, webhooks at {stack.webhook_url}")
    if given.vendor and (fault := vendor_id_fault(given.vendor)):
        raise Problem(f"{given.vendor!r}: {fault}.")
    vendor = given.vendor or dialogue.ask("Vendor id (the publisher's id at Sesamy)", check=vendor_id_fault)
    secrets = SecretStore(stack.session.client("secretsmanager"), stack.secret_prefix, stack.secrets_key_arn)
    return stack, secrets, vendor
