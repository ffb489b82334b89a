#!/usr/bin/env python3
"""Would `sam deploy` deploy what runs? Offline: samconfig.toml, template.yaml
and what `sam build` has made are compared before anything reaches AWS.

- The functions' binaries must be of the processor that the stack gives them. AWS
  takes any, and every invocation fails then.
- The stack's name must leave room for the names of its FIFO queues, which
  CloudFormation makes up and does not shorten.
"""

import re
import shlex
import struct
import sys
from pathlib import Path

try:
    import tomllib
except ModuleNotFoundError:  # before Python 3.11
    from pip._vendor import tomli as tomllib

# e_machine in the header of an ELF file (documented by the ELF specification).
MACHINES = {62: "x86_64", 183: "arm64"}

# The longest name of a queue (documented by SQS), of which CloudFormation takes
# a dash on either side of the logical id and 13 characters of its own (seen).
QUEUE_NAME = 80
ADDED = len("--.fifo") + 13


OTHER_SETTING = """\
`sam build` does not read [default.deploy.parameters] of samconfig.toml. Put what
it needs as well into [default.global.parameters]:
    parameter_overrides = "Architecture={wanted}"
and run `sam build` again."""

OTHER_MACHINE = """\
Run `sam build` again. If that changes nothing, the machine builds for itself, as
one with arm64 and Linux does. Then deploy for arm64, which costs less, by
    parameter_overrides = "Architecture=arm64"
in [default.global.parameters] of samconfig.toml; or put x86_64 = true below
[workspace.metadata.lambda.build] of Cargo.toml, and run `sam build` again."""


class Unfit(Exception):
    """What is wrong, and what to do about it."""


def machine(binary):
    """The processor that an ELF file is for."""
    head = binary[:20]
    if len(head) < 20 or head[:4] != b"\x7fELF":
        return "something other than Linux"
    order = "<" if head[5] == 1 else ">"
    (number,) = struct.unpack(order + "H", head[18:20])
    return MACHINES.get(number, f"processor {number}")


def settings(config, command):
    """What samconfig.toml gives to a command: its own, else those of all."""
    default = config.get("default", {})
    found = {}
    for name in ("global", command):
        found.update(default.get(name, {}).get("parameters", {}))
    return found


def overrides(given):
    """The parameters of `parameter_overrides`, in either of its two forms."""
    if isinstance(given, dict):
        return {name: str(value) for name, value in given.items()}
    words = shlex.split(given) if isinstance(given, str) else given
    return dict(word.split("=", 1) for word in words if "=" in word)


def architecture(template, config, command):
    """The parameter `Architecture` as a command takes it."""
    given = overrides(settings(config, command).get("parameter_overrides", ""))
    if "Architecture" in given:
        return given["Architecture"]
    default = re.search(r"^  Architecture:\n(?:    .*\n)*?    Default: (\w+)$", template, re.M)
    if not default:
        raise Unfit("template.yaml has no default for the parameter Architecture.")
    return default[1]


def longest_stack_name(template):
    """How long a stack's name may be, by its FIFO queue of the longest logical id."""
    queues = re.findall(r"^  (\w+):\n(?:(?:    .*)?\n)*?      FifoQueue: true$", template, re.M)
    if not queues:
        raise Unfit("template.yaml has no FIFO queue.")
    return QUEUE_NAME - ADDED - max(map(len, queues))


def check(root):
    """Raises Unfit; else tells what fits."""
    template = (root / "template.yaml").read_text()
    config = tomllib.loads((root / "samconfig.toml").read_text())

    name = settings(config, "deploy").get("stack_name", "")
    longest = longest_stack_name(template)
    if len(name) > longest:
        raise Unfit(
            f"The stack's name {name} has {len(name)} characters; {longest} is the most,\n"
            "as names of FIFO queues are made from it. Choose a shorter stack_name in\n"
            "samconfig.toml."
        )

    wanted = architecture(template, config, "deploy")
    binaries = sorted((root / ".aws-sam/build").glob("*/bootstrap"))
    if not binaries:
        raise Unfit("Nothing is built. Run `sam build` first.")
    for path in binaries:
        with path.open("rb") as file:
            found = machine(file.read(20))
        if found != wanted:
            asked = architecture(template, config, "build")
            advice = OTHER_SETTING if asked != wanted else OTHER_MACHINE
            raise Unfit(
                f"{path.parent.name} is built for {found}, and deployed for {wanted}.\n"
                + advice.format(wanted=wanted)
            )
    names = ", ".join(path.parent.name for path in binaries)
    return f"Built for {wanted}, as samconfig.toml deploys: {names}"


def main():
    try:
        print(check(Path(__file__).resolve().parent.parent))
    except Unfit as unfit:
        sys.exit(str(unfit))


if __name__ == "__main__":
    main()
