#!/usr/bin/env python3
"""Writes what template.yaml repeats for each connector; `--check` only compares.

template.yaml names the connectors in one line (`# connectors: Rule …`). Below a
line `# each connector: FRAGMENT` stands the fragment once for each of them, up to
a line `# end`. A fragment is a line or a file of .ci/template; `<Name>` and
`<name>` in it stand for the connector.
"""

import re
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
FRAGMENTS = Path(__file__).resolve().parent / "template"

NAMES = re.compile(r"^# connectors: (.+)$", re.M)
EACH = re.compile(r"^( *)# each connector: (.+)\n(?:.*\n)*?\1# end\n", re.M)


def generated(template, fragments=FRAGMENTS):
    """The template with everything written that it repeats."""
    names = NAMES.search(template)[1].split()

    def write(region):
        indent, fragment = region[1], region[2]
        if fragment.endswith(".yaml"):
            lines = (fragments / fragment).read_text().splitlines()
        else:
            lines = [fragment]
        written = [f"{indent}# each connector: {fragment}"]
        for name in names:
            for line in lines:
                line = line.replace("<Name>", name).replace("<name>", name.lower())
                written.append(f"{indent}{line}".rstrip())
        return "\n".join([*written, f"{indent}# end\n"])

    return EACH.sub(write, template)


def main():
    path = PROJECT / "template.yaml"
    template = path.read_text()
    wanted = generated(template)
    if "--check" not in sys.argv:
        path.write_text(wanted)
    elif template != wanted:
        sys.exit("template.yaml is not what its fragments say: run `make template`.")


if __name__ == "__main__":
    main()
