"""buildah pulls through the mirror and by the mirror's own address; see lib/battery.py."""

import unittest

from lib import battery, clients


class TestBuildah(battery.ClientBattery):
    client_class = clients.Buildah
    test_image_runs = None  # needs a network set-up of its own


del battery  # else unittest would find the base class too

if __name__ == "__main__":
    unittest.main()
