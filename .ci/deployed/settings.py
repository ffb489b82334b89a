#!/usr/bin/env python3
"""Writes samconfig.toml for a stack that a pipeline deploys: the defaults of
.ci/samconfig.toml, with the name in STACK and the parameters in PARAMETERS
("Name=value …") for every command, so that what is built fits what is deployed.
"""

import json
import os
import re
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent


def settings(defaults, stack, parameters):
    """The defaults with the stack's own name and parameters."""
    # A text of JSON is one of TOML.
    own = f"stack_name = {json.dumps(stack)}"
    if parameters:
        own += f"\nparameter_overrides = {json.dumps(parameters)}"
    changed, count = re.subn(r"^stack_name = .*$", lambda _: own, defaults, flags=re.M)
    if count != 1:
        raise ValueError(".ci/samconfig.toml names no stack, or several")
    return changed


def main():
    stack = os.environ.get("STACK", "")
    if not stack:
        sys.exit("The variable STACK is not set: the environment's variables name the stack (docs/deploy.md, From GitHub).")
    defaults = (PROJECT / ".ci/samconfig.toml").read_text()
    text = settings(defaults, stack, os.environ.get("PARAMETERS", "").strip())
    (PROJECT / "samconfig.toml").write_text(text)


if __name__ == "__main__":
    main()
