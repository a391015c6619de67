"""dockerd pulls through the mirror and by the mirror's own address; see lib/battery.py."""

import unittest

from lib import battery, clients


class TestDocker(battery.ClientBattery):
    client_class = clients.Docker
    test_second_registry_through_the_mirror = None  # dockerd mirrors docker.io only


del battery  # else unittest would find the base class too

if __name__ == "__main__":
    unittest.main()
