"""Tests of check_deploy.py."""

import re
import struct
import tempfile
import unittest
from pathlib import Path

import check_deploy
from check_deploy import Unfit

PROJECT = Path(__file__).resolve().parent.parent
TEMPLATE = (PROJECT / "template.yaml").read_text()


def elf(number, order="<"):
    """The head of an ELF file for a processor."""
    kind = 1 if order == "<" else 2
    return b"\x7fELF" + bytes([2, kind, 1]) + bytes(9) + struct.pack(order + "HH", 3, number)


class Project:
    """A folder with the template, a samconfig.toml and built functions."""

    def __init__(self, config, binaries):
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name)
        (self.root / "template.yaml").write_text(TEMPLATE)
        (self.root / "samconfig.toml").write_text("version = 0.1\n" + config)
        for name, binary in binaries.items():
            folder = self.root / ".aws-sam/build" / name
            folder.mkdir(parents=True)
            (folder / "bootstrap").write_bytes(binary)

    def verdict(self):
        with self.folder:
            return check_deploy.check(self.root)


X86_64 = {"WebhookFunction": elf(62), "RuleFunction": elf(62)}
ARM64 = {"WebhookFunction": elf(183), "RuleFunction": elf(183)}
GLOBAL_ARM64 = '[default.global.parameters]\nparameter_overrides = "Architecture=arm64"\n'
# As `sam deploy --guided` writes its answers.
GUIDED = '[default.deploy.parameters]\nparameter_overrides = "LogLevel=\\"info\\" Architecture=\\"{}\\""\n'


class Architecture(unittest.TestCase):
    def test_what_is_deployed_is_what_was_built(self):
        listed = '[default.global.parameters]\nparameter_overrides = ["A=b", "Architecture=arm64"]\n'
        for what, config, binaries in [
            ("the default", "", X86_64),
            ("arm64 for all commands", GLOBAL_ARM64, ARM64),
            ("arm64 as a list", listed, ARM64),
            ("answers that agree with all commands", GLOBAL_ARM64 + GUIDED.format("arm64"), ARM64),
            ("answers that agree with the default", GUIDED.format("x86_64"), X86_64),
            ("built with a flag, deployed with answers", GUIDED.format("arm64"), ARM64),
        ]:
            with self.subTest(what):
                self.assertIn("RuleFunction, WebhookFunction", Project(config, binaries).verdict())

    def test_another_processor_is_refused(self):
        one_of_two = {**X86_64, "RuleFunction": elf(183)}
        for what, config, binaries, say in [
            ("arm64 Linux builds for itself", "", ARM64, "x86_64 = true"),
            ("built before the setting", GLOBAL_ARM64, X86_64, "Run `sam build`"),
            ("one of two functions", "", one_of_two, "RuleFunction"),
            ("deployed with answers that the build did not read", GUIDED.format("arm64"), X86_64,
             "[default.global.parameters]"),
            ("built by a Mac for itself", "", {"RuleFunction": b"\xcf\xfa\xed\xfe" + bytes(20)}, "other than Linux"),
            ("of another byte order", "", {"RuleFunction": elf(22, ">")}, "processor 22"),
            ("an empty file", "", {"RuleFunction": b""}, "other than Linux"),
            ("nothing built", "", {}, "`sam build` first"),
        ]:
            with self.subTest(what), self.assertRaises(Unfit) as refused:
                Project(config, binaries).verdict()
            self.assertIn(say, str(refused.exception), what)


class StackName(unittest.TestCase):
    def test_a_name_is_refused_when_a_queue_would_not_fit(self):
        longest = check_deploy.longest_stack_name(TEMPLATE)
        config = '[default.global.parameters]\nstack_name = "{}"\n'
        Project(config.format("s" * longest), X86_64).verdict()
        with self.assertRaises(Unfit) as refused:
            Project(config.format("s" * (longest + 1)), X86_64).verdict()
        self.assertIn(f"{longest} is the most", str(refused.exception))

    def test_the_longest_name_is_found_in_the_template_and_stated_in_the_docs(self):
        longest = check_deploy.longest_stack_name(TEMPLATE)
        queues = re.findall(r"^  (\w+Queue):$", TEMPLATE, re.M)
        fifo = max((name for name in queues if not name.startswith("Operator")), key=len)
        self.assertTrue(fifo.endswith("DeadLetterQueue"), fifo)
        name = f"{'s' * longest}-{fifo}-1VF9BKQH5BJVI.fifo"
        self.assertEqual(len(name), 80)
        page = (PROJECT / "docs/deploy.md").read_text()
        self.assertTrue(f"at most {longest} characters" in page, longest)


if __name__ == "__main__":
    unittest.main()
