"""What the generator of template.yaml writes, and what it leaves alone."""

import tempfile
import unittest
from pathlib import Path

from template import generated

TEMPLATE = """\
# connectors: Rule Make
Resources:
  # each connector: queue.yaml
  stale
  # end
  Own: 1
  List:
    # each connector: - <name>=<Name>
    # end
"""

WANTED = """\
# connectors: Rule Make
Resources:
  # each connector: queue.yaml
  RuleQueue:

    Name: rule
  MakeQueue:

    Name: make
  # end
  Own: 1
  List:
    # each connector: - <name>=<Name>
    - rule=Rule
    - make=Make
    # end
"""


class Generated(unittest.TestCase):
    def test_each_fragment_stands_once_per_connector_and_the_rest_stays(self):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "queue.yaml").write_text("<Name>Queue:\n\n  Name: <name>\n")
            written = generated(TEMPLATE, Path(folder))
            self.assertEqual(written, WANTED)
            self.assertEqual(generated(written, Path(folder)), written, "a second run changes nothing")


if __name__ == "__main__":
    unittest.main()
