"""What is built and run here is what Cargo.lock and .ci/tools name, and the docs tell it right."""

import json
import os
import re
import unittest
from pathlib import Path

from check_deploy import tomllib

PROJECT = Path(__file__).resolve().parent.parent


class Locked(unittest.TestCase):
    """What is built is what Cargo.lock names."""

    def test_every_call_of_cargo_that_resolves_dependencies_is_locked(self):
        calls = []
        for line in (PROJECT / "Makefile").read_text().splitlines():
            call = re.match(r"\t@?cargo (\w+)", line)
            if call and call[1] not in ("fmt", "clean"):
                calls.append(line)
                self.assertIn("--locked", line)
        self.assertGreater(len(calls), 5)

    def test_so_is_what_sam_build_calls(self):
        # `sam build` passes no flags; cargo-lambda reads them here.
        cargo = tomllib.loads((PROJECT / "Cargo.toml").read_text())
        build = cargo["workspace"]["metadata"]["lambda"]["build"]
        self.assertIs(build["locked"], True)


class Pins(unittest.TestCase):
    """What is installed is what was looked at."""

    def test_every_release_of_a_tool_has_its_hashes(self):
        for path in sorted((PROJECT / ".ci/tools").glob("*.txt")):
            text = re.sub(r"\\\n", "", path.read_text())
            releases = [line for line in text.splitlines() if re.match(r"[a-z0-9]", line, re.I)]
            self.assertGreater(len(releases), 0, path.name)
            for release in releases:
                self.assertRegex(release, r"^\S+==\S+ .*--hash=sha256:[0-9a-f]{64}", path.name)
            self.assertNotIn("://", text, path.name)

    def test_so_has_every_package_of_the_browser_and_from_no_named_host(self):
        folder = PROJECT / ".ci/browser"
        lock = (folder / "package-lock.json").read_text()
        packages = json.loads(lock)["packages"]
        wanted = json.loads((folder / "package.json").read_text())["dependencies"]
        self.assertEqual(packages.pop("")["dependencies"], wanted)
        self.assertGreaterEqual(len(packages), len(wanted))
        for path, package in packages.items():
            self.assertRegex(package["integrity"], r"^sha512-", path)
        for version in wanted.values():
            self.assertRegex(version, r"^\d+\.\d+\.\d+$")
        self.assertNotIn('"resolved"', lock)

    def test_who_installs_them_looks_at_the_hashes(self):
        makefile = (PROJECT / "Makefile").read_text()
        installs = [line for line in makefile.splitlines() if "pip install --" in line]
        self.assertGreater(len(installs), 1)
        for line in installs:
            self.assertIn("--require-hashes", line)
        # `npm install` would take what package.json allows.
        self.assertRegex(makefile, r"npm ci --ignore-scripts")


class Secrets(unittest.TestCase):
    """What is typed into a command stays in the shell's history and in lists of processes."""

    def test_no_command_that_is_told_holds_a_secret(self):
        for path in [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]:
            for content in re.findall(r"--secret-string\s+(\S+)", path.read_text()):
                self.assertTrue(content.startswith("file://"), f"{path.name}: {content}")


class Proof(unittest.TestCase):
    """A test that the docs name is there."""

    def test_every_test_that_is_named_exists(self):
        folders = [PROJECT / name for name in ("functions", "shared", "tests")]
        code = [path for folder in folders for path in folder.rglob("*.rs")]
        code += (PROJECT / ".ci").rglob("test_*.py")
        there = set()
        for path in code:
            there.update(re.findall(r"\b(?:fn|def) (\w+)\(", path.read_text()))
        for name in ("aws.md", "threats.md"):
            named = re.findall(r"`(\w*_\w+_\w+_\w+)`", (PROJECT / "docs" / name).read_text())
            self.assertGreater(len(named), 15, name)
            for test in named:
                self.assertTrue(test in there, f"{name} names {test}, which is no test")


class Words(unittest.TestCase):
    maxDiff = None

    """One concept has one name (docs/glossary.md); these words were dropped for better ones."""

    DROPPED = {
        r"(?<!dead-)(?<!dead_)letters?(?! case)": "dead-letter message, or character",
        r"bury|buried|buries": "move to the dead-letter queue",
        r"home(?:wards)?(?= again)|brings? home|brought home": "redrive, move back",
        r"mend(?:s|ed|ing)?": "fix, correct",
        r"anew": "again",
        r"whom": "which user",
        r"nobody": "no one, or name who",
        r"stand[-_ ]?ins?": "fake",
        r"tally": "metrics",
        r"keyring": "token store",
        r"intake": "handler",
        r"withheld|pretence|rehearse[sd]?": "dry run",
        r"fates?": "disposition",
        r"readers?": "user",
        r"patience": "timeout",
        r"wish(?:es|ed)?": "command",
    }

    def test_words_that_were_dropped_stay_away(self):
        pattern = re.compile(rf"(?<![A-Za-z])(?:{'|'.join(self.DROPPED)})(?![a-z])", re.IGNORECASE)
        kinds = {".rs", ".md", ".yaml", ".py", ".toml", ".json"}
        skipped = {"target", ".venv", ".git", ".aws-sam", ".local"}
        found = []
        for folder, folders, names in os.walk(PROJECT):
            folders[:] = [name for name in folders if name not in skipped]
            for name in names:
                path = Path(folder) / name
                if path.suffix not in kinds and name != "Makefile" or path == Path(__file__).resolve():
                    continue
                for number, line in enumerate(path.read_text().splitlines(), 1):
                    if path.name == "tags-and-fields.md":
                        # A marketer's own word.
                        line = re.sub(r"\b[Rr]eaders?\b", "", line)
                    for word in pattern.finditer(line):
                        found.append(f"{path.relative_to(PROJECT)}:{number}: {word[0]}")
        self.assertEqual(found, [], "\n".join(found))


class Rooms(unittest.TestCase):
    """The pages that say where things are tell it right."""

    def test_every_file_that_is_named_exists(self):
        for name in ("architecture.md", "assumptions.md", "connectors.md", "derivation.md"):
            page = (PROJECT / "docs" / name).read_text()
            named = re.findall(r"`((?:functions|shared|tests|\.ci)/[\w/.-]+)`", page)
            self.assertGreater(len(named), 2, name)
            for path in named:
                if "NAME" not in path:
                    self.assertTrue((PROJECT / path).exists(), f"{name} names {path}, which is not there")

    def test_every_link_between_pages_leads_somewhere(self):
        pages = [*PROJECT.glob("*.md"), *sorted((PROJECT / "docs").glob("*.md"))]
        self.assertGreater(len(pages), 10)
        for page in pages:
            for target in re.findall(r"\]\((?!https?:)([^)\s]*)\)", page.read_text()):
                path, _, anchor = target.partition("#")
                to = (page.parent / path).resolve() if path else page
                self.assertTrue(to.exists(), f"{page.name} links to {target}")
                if anchor and to.suffix == ".md":
                    self.assertIn(anchor, anchors(to), f"{page.name} links to {target}")


def anchors(page):
    """The anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    plain = (re.sub(r"[^\w\s-]", "", heading).strip().lower() for heading in headings)
    return [heading.replace(" ", "-") for heading in plain]


class Costs(unittest.TestCase):
    def test_the_alarms_that_are_charged_are_those_of_the_template(self):
        template = (PROJECT / "template.yaml").read_text()
        alarms = len(re.findall(r"^    Type: AWS::CloudWatch::Alarm$", template, re.M))
        costs = (PROJECT / "docs/performance.md").read_text()
        row = f"| {alarms} alarms | 0.10 | {alarms / 10:.2f} |"
        self.assertTrue(row in costs, row)


if __name__ == "__main__":
    unittest.main()
