"""Tests of settings.py: what it writes is what `make check-deploy` reads."""

import unittest

import check_deploy

from .settings import PROJECT, settings

DEFAULTS = (PROJECT / ".ci/samconfig.toml").read_text()


class Settings(unittest.TestCase):
    def test_every_command_gets_the_stacks_name_and_parameters(self):
        config = check_deploy.tomllib.loads(settings(DEFAULTS, "staging", 'Architecture=arm64 AlarmEmail="a b"'))
        for command in ("build", "deploy"):
            found = check_deploy.settings(config, command)
            self.assertEqual(found["stack_name"], "staging")
            expected = {"Architecture": "arm64", "AlarmEmail": "a b"}
            self.assertEqual(check_deploy.overrides(found["parameter_overrides"]), expected)

    def test_without_parameters_those_of_the_template_count(self):
        config = check_deploy.tomllib.loads(settings(DEFAULTS, "s", ""))
        self.assertNotIn("parameter_overrides", check_deploy.settings(config, "deploy"))
        self.assertEqual(check_deploy.settings(config, "deploy")["capabilities"], "CAPABILITY_IAM")

    def test_defaults_without_a_stack_are_an_error(self):
        with self.assertRaises(ValueError):
            settings("version = 0.1\n", "s", "")
